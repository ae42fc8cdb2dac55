"""The hub: what the rooms publish, as pages in a browser."""
