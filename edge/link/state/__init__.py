"""State that the link keeps: smoothed room state, clock, published names."""
