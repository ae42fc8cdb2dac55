"""Checks of `roomtone doctor` that all parts share, and the benchmark of bundles."""
