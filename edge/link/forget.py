"""`roomtone link --forget`: takes away all that this device has retained at the broker, before it is retired."""

from __future__ import annotations

from edge.config.settings import Config
from edge.link.state import published_names
from edge.mqtt.address import device_client_id, from_config
from edge.mqtt.client import Client
from edge.mqtt.reason_codes import FAILURE
from edge.mqtt.session import ClientOptions
from edge.util.errors import UserError

PATIENCE_S = 20.0


def forget(config: Config) -> list[str]:
    """Delete all retained messages of this device at the broker, also of former names; returns their topics.

    Stop the link first: this connects with its client id, which closes its connection, and a running
    link publishes them again. Raises `UserError` when the broker cannot be reached, or refuses.
    """
    topics = sorted(published_names.retained(config))
    client = Client(from_config(config), ClientOptions(device_client_id(config.node.id)), lambda _: None)
    try:
        if reason := client.connect(PATIENCE_S):
            raise UserError(reason.text)
        for name in topics:
            code = client.publish_and_wait(name, b"", retain=True, timeout_s=PATIENCE_S)
            if code is None:
                raise UserError(f"the broker has not answered; {name} is not sure to be removed")
            if code >= FAILURE:
                raise UserError(f"the broker refuses the removal of {name} (reason {code:#04x})")
        return topics
    finally:
        client.stop()
