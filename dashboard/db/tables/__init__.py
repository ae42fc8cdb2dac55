"""The tables of the hub's database, one module for each part of the hub that writes them."""

from dashboard.db.tables.alerts import alerts, deliveries, push_key, push_subscriptions, rules
from dashboard.db.tables.auth import audit, sessions, users
from dashboard.db.tables.base import EMOTIONS, QUARTER_MS, metadata
from dashboard.db.tables.clock import clock
from dashboard.db.tables.reachability import minutes
from dashboard.db.tables.recorder import boots, events, lost, quarters, rooms

__all__ = [
    "EMOTIONS",
    "QUARTER_MS",
    "alerts",
    "audit",
    "boots",
    "clock",
    "deliveries",
    "events",
    "lost",
    "metadata",
    "minutes",
    "push_key",
    "push_subscriptions",
    "quarters",
    "rooms",
    "rules",
    "sessions",
    "users",
]
