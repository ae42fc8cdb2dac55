"""Delivery of events to the broker: outbox, spool and journal."""
