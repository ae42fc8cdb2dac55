"""Messages, topics and Home Assistant discovery, shared by all parts."""
