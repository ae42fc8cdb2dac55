"""Protocols over labelled clips."""
