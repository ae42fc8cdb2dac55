"""Access to the hub's repository of releases: The Update Framework (TUF) over HTTPS."""
