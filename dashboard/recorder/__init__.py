"""The recorder: stores the events of all rooms in a database, each exactly once."""
