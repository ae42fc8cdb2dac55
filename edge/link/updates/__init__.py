"""Models for this box: fetched, verified, tried, switched to, and watched (docs/updates.md)."""
