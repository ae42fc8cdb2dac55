"""The configuration of a device: settings, reading, writing and documentation."""
