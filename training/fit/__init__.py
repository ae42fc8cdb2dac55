"""Fitting a recipe: trainer, checkpoints and the closed-form output layer."""
