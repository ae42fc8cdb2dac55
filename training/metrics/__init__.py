"""Predictions of a bundle and what is computed from them: metrics, intervals, replay of the baseline."""
