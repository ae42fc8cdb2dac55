"""The model store of a device: what is installed, what was refused, and how it changes on disk."""
