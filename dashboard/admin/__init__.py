"""`roomtone hub`: what whoever keeps the hub does at a terminal."""
