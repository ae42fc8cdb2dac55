"""Confidence calibration and baseline constants."""
