"""What `install.sh` leaves to Python: the configuration, credentials and drop-ins of a room device."""
