"""Sites with their broker, hub and devices."""
