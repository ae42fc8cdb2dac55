"""Protocols that train a recipe by themselves and evaluate the result."""
