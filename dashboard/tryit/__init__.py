"""Trying it: a recording from a browser, classified in memory by the code of the device, and forgotten."""
