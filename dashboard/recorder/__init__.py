"""The recorder: from the broker into a database, each event exactly once."""
