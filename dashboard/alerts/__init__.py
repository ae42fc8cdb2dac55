"""Alerts: rules such as `angry for 10 minutes above 60 %`, told to MQTT and a webhook."""
