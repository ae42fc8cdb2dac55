"""The gate: tries a model in a process of its own, which may die of it. No network, no devices, no secrets."""
