"""The hub's part in model releases: repository over HTTP, authenticated upload, and the catalogue of models."""
