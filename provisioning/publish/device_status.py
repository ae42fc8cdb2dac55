"""What devices report about their models, and the announcement that a new release is published."""

from __future__ import annotations

import argparse
import secrets
import threading
from types import TracebackType
from typing import Final

import msgspec

from edge.mqtt import options as mqtt_options
from edge.mqtt.client import Client
from edge.mqtt.events import Event, Message
from edge.mqtt.reason_codes import FAILURE
from edge.mqtt.session import ClientOptions, Subscription
from edge.protocol import Announcement, ModelStatus, announce_topic, encode
from edge.util.errors import UserError

CONNECT_S: Final = 10.0
AVAILABILITY: Final = "availability"


class DeviceStatus:
    """Watches the model status of all devices over MQTT, with the rights of an operator; `with` connects it.

    `options` are those of `edge.mqtt.options.add_options`. Raises `UserError` when the broker cannot be reached.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        address, self._base = mqtt_options.from_options(options)
        self._lock = threading.Lock()
        self._statuses: dict[str, ModelStatus] = {}
        self._online: set[str] = set()
        wanted = tuple(Subscription(f"{self._base}/+/{leaf}") for leaf in ("model", AVAILABILITY))
        self._client = Client(
            address, ClientOptions(f"roomtone-fleet-{secrets.token_hex(4)}", wanted), self._handle
        )

    def statuses(self) -> dict[str, ModelStatus]:
        """Return the last status of each device."""
        with self._lock:
            return dict(self._statuses)

    def online(self) -> set[str]:
        """Return the devices that are connected."""
        with self._lock:
            return set(self._online)

    def announce(self, timestamp_version: int) -> None:
        """Publish, retained, that there is a new release, so that devices check at once or when they connect.

        Raises `UserError` when the broker does not acknowledge it.
        """
        payload = encode(Announcement(timestamp_version=timestamp_version))
        code = self._client.publish_and_wait(announce_topic(self._base), payload, retain=True)
        if code is None or code >= FAILURE:
            why = "no answer" if code is None else f"reason {code:#04x}"
            raise UserError(
                f"the broker does not take the announcement on {announce_topic(self._base)} ({why})"
            )

    def _handle(self, event: Event) -> None:
        if isinstance(event, Message):
            self._receive(event)

    def _receive(self, message: Message) -> None:
        node, leaf = message.topic.rsplit("/", 2)[1:]
        with self._lock:
            if leaf == AVAILABILITY:
                (self._online.add if message.payload == b"online" else self._online.discard)(node)
                return
            try:
                self._statuses[node] = msgspec.json.decode(message.payload, type=ModelStatus)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._statuses.pop(node, None)

    def __enter__(self) -> DeviceStatus:
        if reason := self._client.connect(CONNECT_S):
            self._client.stop()
            raise UserError(reason.text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop()
