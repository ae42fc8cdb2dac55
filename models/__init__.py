"""Bundles of Roomtone as package data: `edge.inference.bundle` finds the folder, nothing imports this."""
