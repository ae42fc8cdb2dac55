"""`roomtone fleet`: a site's own certificates, and what its broker allows to whom."""
