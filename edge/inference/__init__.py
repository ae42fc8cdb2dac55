"""From speech to an emotion: features, bundle, interpreter, classifier; for device, training and hub."""
