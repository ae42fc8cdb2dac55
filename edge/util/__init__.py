"""Helpers that all parts share: files, rate limit, timestamps, service manager, process figures."""
