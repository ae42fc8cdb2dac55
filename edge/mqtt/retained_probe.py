"""Finds out whether a broker sends retained messages to subscriptions with a wildcard, which CONNACK does not say.

Two short connections of their own, beside that of the program: the first retains a message on each of two topics, the
second subscribes to one of them by a wildcard and to the other by its name, as a control. Only where the control comes
and the other does not, the broker lacks it; where neither comes (no right to these topics, no retained messages at
all), nothing is known. Both messages are removed afterwards.

    at_wildcards(Identity(address, "my-id"), "5", "roomtone/fleet/probe/my-id")  # True, False or None: not known
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, NamedTuple

from edge.mqtt.connection import Connection
from edge.mqtt.events import Acknowledged, Capabilities, Connected, Event, Message, Subscribed
from edge.mqtt.reason_codes import FAILURE, Identity
from edge.mqtt.reconnect import Attempt, Version
from edge.mqtt.session import ClientOptions, Publish, Subscription

CONTROL_S: Final = 10.0
"""How long each answer of the broker, and the message of the control, may take."""
GRACE_S: Final = 5.0
"""How much longer than that of the control the message at the wildcard may take."""
EXPIRY_S: Final = 60
"""After which a broker with MQTT 5 removes the messages by itself, should this program be killed."""
DELAY_S: Final = (1.0, 10.0)
"""When a program asks after its subscription: many devices may come back at the same time."""
ATTEMPTS: Final = 3
"""After so many without a result none is expected."""


def at_wildcards(
    who: Identity, version: Version, topic: str, stopping: threading.Event | None = None
) -> bool | None:
    """Return whether a new subscription with a wildcard gets retained messages; None where that cannot be known.

    Takes up to a minute. `topic` is one of the caller's own, and without a wildcard; `stopping` ends it early.
    """
    topics = _Topics(f"{topic}/retained/exact", f"{topic}/retained/wildcard", f"{topic}/+/wildcard")
    probe = Identity(who.address, f"{who.client_id}-probe")
    stopping = stopping or threading.Event()
    with _Connected(probe, version, ()) as writer:
        try:
            if not writer.publish(topics, b"1", stopping):
                return None
            return _receives(probe, version, topics, stopping)
        finally:
            if writer.accepted:
                writer.publish(topics, b"", threading.Event())


class _Topics(NamedTuple):
    exact: str
    at_wildcard: str
    wildcard: str
    """The topic filter that `at_wildcard` alone matches."""


def _receives(probe: Identity, version: Version, topics: _Topics, stopping: threading.Event) -> bool | None:
    reader = Identity(probe.address, f"{probe.client_id}-reader")
    with _Connected(
        reader, version, (Subscription(topics.wildcard), Subscription(topics.exact))
    ) as subscriber:
        if not subscriber.wait(lambda: topics.exact in subscriber.topics, CONTROL_S, stopping):
            return None
        if subscriber.wait(lambda: topics.at_wildcard in subscriber.topics, GRACE_S, stopping):
            return True
        return None if subscriber.refused or subscriber.ended or stopping.is_set() else False


class _Connected(AbstractContextManager["_Connected"]):
    """One connection in a thread of its own, and what it has received."""

    def __init__(self, who: Identity, version: Version, subscriptions: tuple[Subscription, ...]) -> None:
        self.topics: set[str] = set()
        self.refused = False
        self.ended = False
        self._connected = False
        self._codes: dict[int, int] = {}
        self._number = 0
        self._changed = threading.Condition()
        options = ClientOptions(who.client_id, subscriptions)
        self._connection = Connection(who, options, Attempt(version), self._note)
        self._thread = threading.Thread(target=self._run, name="mqtt-probe", daemon=True)

    def __enter__(self) -> _Connected:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._thread.join(CONTROL_S)

    def publish(self, topics: _Topics, payload: bytes, stopping: threading.Event) -> bool:
        """Publish retained to both topics; return whether the broker has accepted both messages."""
        if not self.wait(lambda: self._connected, CONTROL_S, stopping):
            return False
        numbers = []
        for topic in (topics.exact, topics.at_wildcard):
            self._number += 1
            numbers.append(self._number)
            expiry_s = EXPIRY_S if payload else None
            self._connection.publish(Publish(self._number, topic, payload, 1, True, expiry_s))
        answered = self.wait(lambda: all(number in self._codes for number in numbers), CONTROL_S, stopping)
        return answered and all(self._codes[number] < FAILURE for number in numbers)

    @property
    def accepted(self) -> bool:
        """Whether the broker has accepted any message."""
        return any(code < FAILURE for code in self._codes.values())

    def wait(self, condition: Callable[[], bool], seconds: float, stopping: threading.Event) -> bool:
        """Wait until the condition is true; return whether it is, at the end of the connection at the latest."""
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                if self.ended or stopping.is_set() or time.monotonic() >= end:
                    return False
                self._changed.wait(0.2)
        return True

    def _run(self) -> None:
        self._connection.run()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _note(self, event: Event) -> None:
        with self._changed:
            match event:
                case Connected():
                    self._connected = True
                case Subscribed(refused):
                    self.refused = bool(refused)
                case Acknowledged(number, code):
                    self._codes[number] = code
                case Message(topic, payload):
                    self.topics |= {topic} if payload else set()
            self._changed.notify_all()


class BackgroundProbe:
    """Asks once for a client that is connected, in a thread of its own; again only at a broker that lacks it.

    Args:
        topic: one of the client's own, for the messages of the probe; empty: nothing is asked.
        on_result: is called by that thread where something is known now.
    """

    def __init__(self, topic: str, on_result: Callable[[bool], None]) -> None:
        self._topic = topic
        self._on_result = on_result
        self._attempts = ATTEMPTS
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, who: Identity, version: Version, capabilities: Capabilities) -> None:
        """Ask the broker that has just answered the client's subscriptions, unless that is known or under way."""
        asks = self._topic and capabilities.retain and capabilities.wildcard_subscriptions
        # With a certificate the broker may make the client id of its name, and a second connection end the first.
        if (
            not asks
            or who.address.cert_file
            or not self._attempts
            or (self._thread is not None and self._thread.is_alive())
        ):
            return
        self._thread = threading.Thread(
            target=self._run, args=(who, version), name="mqtt-probes", daemon=True
        )
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End early, and remove what was published for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, who: Identity, version: Version) -> None:
        if self._stopping.wait(random.uniform(*DELAY_S)):
            return
        found = at_wildcards(who, version, self._topic, self._stopping)
        if found is None:
            self._attempts -= 1
            return
        self._attempts = 0 if found else ATTEMPTS
        self._on_result(found)
