"""Protocols of a household: mostly ordinary speech, a causal baseline, the published decisions."""
