"""Muting: requests to close the microphone, quiet hours, and the push button."""
