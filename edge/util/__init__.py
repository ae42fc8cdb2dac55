"""Small helpers that every part shares."""
