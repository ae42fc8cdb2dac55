"""`roomtone link --forget`: takes away all that this device has retained at the broker, before it is retired."""

from __future__ import annotations

from edge.config.settings import Config
from edge.link.delivery import episodes
from edge.link.state import published_names
from edge.mqtt.address import device_client_id, from_config
from edge.mqtt.client import Client
from edge.mqtt.reason_codes import FAILURE
from edge.mqtt.session import ClientOptions
from edge.protocol import encode
from edge.util.errors import UserError, reason

PATIENCE_S = 20.0


def forget(config: Config) -> list[str]:
    """Delete all retained messages of this device at the broker, also of former names; returns their topics.

    Before that, the end of an episode in which the link was killed is published; then its file is removed. Stop the
    link first: this connects with its client id, which closes its connection, and a running link publishes all of it
    again. Raises `UserError` when the broker cannot be reached, or refuses.
    """
    topics = sorted(published_names.retained(config))
    waiting = episodes.path_of(config)
    client = Client(from_config(config), ClientOptions(device_client_id(config.node.id)), lambda _: None)
    try:
        if refusal := client.connect(PATIENCE_S):
            raise UserError(refusal.text)
        for one in episodes.read(waiting):
            if client.publish_and_wait(one.topic, encode(one.episode), timeout_s=PATIENCE_S) is None:
                raise UserError(f"the broker has not answered; {one.topic} is not sure to be published")
        for name in topics:
            code = client.publish_and_wait(name, b"", retain=True, timeout_s=PATIENCE_S)
            if code is None:
                raise UserError(f"the broker has not answered; {name} is not sure to be removed")
            if code >= FAILURE:
                raise UserError(f"the broker refuses the removal of {name} (reason {code:#04x})")
        waiting.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{waiting}: cannot be removed: {reason(error)}") from None
    finally:
        client.stop()
    return topics
