"""Augmentation and corruption of recordings."""
