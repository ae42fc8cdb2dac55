"""The part of `install.sh` in Python: configuration, credentials and systemd drop-ins of a device."""
