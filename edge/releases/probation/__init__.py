"""The watch over a newly installed model: statistics, and the decision to keep it or to roll it back."""
