"""Small corpora and networks."""
