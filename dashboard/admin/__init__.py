"""`roomtone hub`: administration at a terminal."""
