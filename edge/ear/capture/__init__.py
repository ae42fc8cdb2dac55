"""Audio capture: microphones, recordings played back as a microphone, and the capture thread."""
