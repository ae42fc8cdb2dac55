"""The live state of all rooms, from MQTT messages to open pages."""
