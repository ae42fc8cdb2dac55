"""What the link asks of the broker: last will, subscriptions, session. `roomtone doctor` asks for the same."""

from __future__ import annotations

from typing import Final

from edge.config.settings import Config
from edge.link.homeassistant_restart import status_topic
from edge.link.state import published_names
from edge.mqtt.address import device_client_id
from edge.mqtt.session import ClientOptions, Subscription, Will
from edge.protocol import AVAILABILITY, announce_topic, probe_topic, topic

SESSION_EXPIRY_S: Final = 3600
"""How long the broker keeps commands for a device that is away; older ones would be refused anyway."""


def client_options(config: Config) -> ClientOptions:
    """Return how the link of this configuration presents itself."""
    base, node = config.node.base_topic, config.node.id
    online = topic(base, node, AVAILABILITY)
    announce = announce_topic(base) if config.updates.url else ""
    wanted = (f"{topic(base, node, 'cmd/')}+", announce, status_topic(config), online)
    return ClientOptions(
        client_id=device_client_id(node),
        subscriptions=tuple(Subscription(name, retained=False) for name in wanted if name),
        unsubscribe=published_names.stale_subscriptions(config),
        will=Will(online, b"offline"),
        session_expiry_s=SESSION_EXPIRY_S,
        probe_topic=probe_topic(base, device_client_id(node)),
    )
