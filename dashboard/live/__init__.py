"""Live state of all rooms, from MQTT messages."""
