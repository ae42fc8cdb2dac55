"""The commands that are neither process: `classify`, `doctor`."""
