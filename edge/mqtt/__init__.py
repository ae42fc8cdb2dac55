"""The MQTT client that link, recorder, dashboard and fleet tools share."""
