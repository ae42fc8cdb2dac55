"""Text that people write, and text that they read in a terminal."""
