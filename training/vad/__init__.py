"""Builds the voice activity detector of the device from the published weights of Silero."""
