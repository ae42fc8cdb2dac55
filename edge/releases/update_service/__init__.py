"""The short-lived process that checks for updates and alone writes the model store, and its client in the link."""
