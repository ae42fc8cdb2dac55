"""What the boxes tell of their models, and the announcement that something is new."""

from __future__ import annotations

import argparse
import secrets
import threading
from types import TracebackType
from typing import Any, Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from dashboard.live.client import make
from edge.mqtt import address
from edge.protocol.messages import Announcement, ModelStatus, announce_topic, encode
from edge.util.errors import UserError

CONNECT_S: Final = 10.0


class Watcher:
    """A client of the broker with the rights of an operator. Raises `UserError` when it cannot be reached."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._broker, self._base = address.from_options(options)
        self._lock = threading.Lock()
        self._statuses: dict[str, ModelStatus] = {}
        self._online: set[str] = set()
        self._up = threading.Event()
        self._refused = ""
        self._client = make(
            self._broker, f"roomtone-fleet-{secrets.token_hex(4)}", MQTTProtocolVersion.MQTTv311
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def statuses(self) -> dict[str, ModelStatus]:
        """The last of each box."""
        with self._lock:
            return dict(self._statuses)

    def online(self) -> set[str]:
        """Boxes that are there."""
        with self._lock:
            return set(self._online)

    def announce(self, timestamp_version: int) -> None:
        """Retained, so that a box that comes back later looks at once."""
        payload = encode(Announcement(timestamp_version=timestamp_version))
        self._client.publish(announce_topic(self._base), payload, qos=1, retain=True).wait_for_publish(10.0)

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._refused = str(code)
        else:
            client.subscribe([(f"{self._base}/+/model", 1), (f"{self._base}/+/availability", 1)])
        self._up.set()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        node, leaf = message.topic.rsplit("/", 2)[1:]
        with self._lock:
            if leaf == "availability":
                (self._online.add if message.payload == b"online" else self._online.discard)(node)
                return
            try:
                self._statuses[node] = msgspec.json.decode(message.payload, type=ModelStatus)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._statuses.pop(node, None)

    def __enter__(self) -> Watcher:
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise UserError(f"the broker at {self._broker.host}:{self._broker.port}: {error}") from None
        self._client.loop_start()
        if not self._up.wait(CONNECT_S) or self._refused:
            self._client.loop_stop()
            raise UserError(f"the broker does not let us in: {self._refused or 'no answer'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
