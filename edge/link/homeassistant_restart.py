"""Home Assistant's start: when its status topic says so, everything it should know is published again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from edge.config.settings import Config
from edge.protocol.homeassistant_discovery import is_birth

WAIT_S: Final = (2.0, 10.0)
"""All devices receive the same message, and Home Assistant has enough to do when it starts."""


def status_topic(config: Config) -> str:
    """Return the topic on which Home Assistant tells its start; empty where nothing is announced to it."""
    return config.homeassistant.status_topic if config.homeassistant.discovery else ""


class HomeAssistantStatus:
    """Publishes everything again when Home Assistant has started.

    `topic` is its status topic, empty where nothing is announced to Home Assistant.
    """

    def __init__(
        self, config: Config, publish_all: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.topic = status_topic(config)
        self._publish_all = publish_all
        self._loop = loop

    def handle(self, payload: bytes) -> None:
        """Handle a message of the status topic: publish everything again, after a random wait."""
        if is_birth(payload):
            self._loop.call_later(random.uniform(*WAIT_S), self._publish_all)
