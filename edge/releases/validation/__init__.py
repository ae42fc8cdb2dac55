"""Validation of a new model in a sandboxed process of its own: no network, no devices, no secrets."""
