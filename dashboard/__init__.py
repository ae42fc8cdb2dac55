"""The hub: recorder, web pages and API for the events that devices publish."""
