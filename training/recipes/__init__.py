"""Recipes: one short TOML file each, read by `training.recipes.recipe`."""
