"""Model bundles for tests."""
