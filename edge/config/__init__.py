"""The configuration of a device: its settings, and how they are read and written."""
