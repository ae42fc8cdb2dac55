"""Alerts: rules such as "angry for 10 minutes above 60 %", published to MQTT and webhooks."""
