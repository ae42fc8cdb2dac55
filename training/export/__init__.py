"""From a training run to a model bundle."""
