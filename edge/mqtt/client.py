"""A client of the broker that connects, and connects again, for ever.

One thread makes one `Connection` after the other. So nothing of an old connection can be sent on a new one behind
the caller's back: what has to be sent again is decided by the caller.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from edge.mqtt import reason_codes, tls
from edge.mqtt.address import BrokerAddress
from edge.mqtt.connection import Connection
from edge.mqtt.events import (
    Acknowledged,
    Capabilities,
    CapabilitiesChanged,
    Connected,
    Disconnected,
    Event,
    State,
    Subscribed,
)
from edge.mqtt.reason_codes import Identity, Reason
from edge.mqtt.reconnect import Backoff, Ended, ReconnectLogic
from edge.mqtt.retained_probe import BackgroundProbe
from edge.mqtt.session import ClientOptions, Publish

log = logging.getLogger(__name__)

MAX_WAITING: Final = 1000
"""Messages that are handed over and not sent yet: more are refused."""


class Client:
    """Connects in a thread of its own; all methods may be called from any thread.

    Args:
        address: the broker or cluster, and as whom. When a connection fails or ends, the next node is tried.
        options: subscriptions, last will, session.
        on_event: called by the client's thread with every event, and by that of its probe with `CapabilitiesChanged`;
            must neither block nor raise.
        backoff: how long to wait between attempts.
    """

    def __init__(
        self,
        address: BrokerAddress,
        options: ClientOptions,
        on_event: Callable[[Event], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._nodes = address.nodes
        self._node = 0
        """Which of them is tried next, or connected."""
        self._options = options
        self._on_event = on_event
        self._who = Identity(self._nodes[0], options.client_id)
        self._logic = ReconnectLogic(self._who, address.version, backoff)
        self._probe = BackgroundProbe(options.probe_topic, self._on_probed)
        self._retained_at_wildcards = True
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._state = State.STOPPED
        self._acknowledged: dict[int, int | None] = {}
        self._connection: Connection | None = None
        self._too_large: set[str] = set()
        """Topics of which it was said that a message is too large: an event is tried again and again."""
        self.last_reason: Reason | None = None
        """Why the last connection ended, or could not be made; None while nothing went wrong."""
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def address(self) -> BrokerAddress:
        """The broker, of a cluster the node that is connected or tried."""
        return self._who.address

    @property
    def state(self) -> State:
        """The state of the connection."""
        return self._state

    @property
    def capabilities(self) -> Capabilities:
        """What the broker can do; before the first connection, what MQTT 5 assumes."""
        connection = self._connection
        found = Capabilities() if connection is None else connection.capabilities
        return replace(found, retained_at_wildcards=self._retained_at_wildcards)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._set(State.CONNECTING)
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Send what is left and DISCONNECT (so that the broker does not publish the last will), and end the thread."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._probe.stop(timeout_s)
        self._set(State.STOPPED)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int | None:
        """Pass a message to the thread that owns the socket.

        Returns the number that `Acknowledged` will carry; None without a connection, for a message that is larger than
        the broker accepts, and while too many messages wait.
        """
        connection = self._connection
        if connection is None or not connection.connected or connection.waiting >= MAX_WAITING:
            return None
        message = Publish(next(self._numbers), topic, payload, qos, retain, expiry_s)
        if message.packet_bytes > connection.capabilities.max_packet_bytes:
            # A broker closes the connection on such a message, at every attempt again.
            if topic not in self._too_large:
                log.warning(
                    "[message_too_large] %s: %d bytes are more than the broker takes; not sent",
                    topic,
                    len(payload),
                )
            self._too_large.add(topic)
            return None
        connection.publish(message)
        return message.number

    def publish_and_wait(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, timeout_s: float = 10.0
    ) -> int | None:
        """Publish and wait for the broker's answer; returns its reason code (0: taken), None without an answer."""
        with self._changed:
            number = self.publish(topic, payload, qos=qos, retain=retain)
            if number is None:
                return None
            self._acknowledged[number] = None
            self._changed.wait_for(lambda: self._acknowledged[number] is not None, timeout_s)
            return self._acknowledged.pop(number)

    def wait_for(self, state: State, timeout_s: float) -> bool:
        """Wait until the client is `CONNECTED` (or `READY`), or `READY`; False when it is not in time."""
        wanted = {State.READY} if state is State.READY else {state, State.READY}
        with self._changed:
            return self._changed.wait_for(lambda: self._state in wanted, timeout_s)

    def connect(self, timeout_s: float) -> Reason | None:
        """Start, and wait for the first result: None when the client is `READY`, otherwise why not.

        For programs that end when there is no broker; `stop` is still to be called.
        """
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: self._state in (State.READY, State.WAITING), timeout_s)
            if self._state is State.READY:
                return None
        return self.last_reason or reason_codes.no_answer(self._who)

    def stuck_s(self) -> float:
        """For how long the thread has shown no sign of life; 0 while it waits between two attempts."""
        connection = self._connection
        return 0.0 if connection is None else time.monotonic() - connection.turned_at

    # --- the client's thread ---

    def _run(self) -> None:
        optional_refused = False
        while not self._stopping.is_set():
            self._set(State.CONNECTING)
            connection = Connection(self._who, self._options, self._logic.attempt, self._handle)
            self._connection = connection
            if self._stopping.is_set():
                # `stop` may have come before it could see this connection.
                connection.close()
            ended = connection.run()
            self._connection = None
            if self._stopping.is_set():
                break
            if ended.closed_soon:
                ended = replace(ended, broker_gone=not tls.accepts(self._who.address))
            # Once may be a network that broke just then; twice in a row is the broker.
            optional_refused, was_refused = ended.optional_refused, optional_refused
            if optional_refused and was_refused:
                self._options = replace(self._options, optional=())
            self._wait_after(ended)
        self._set(State.STOPPED)

    def _wait_after(self, ended: Ended) -> None:
        retry = self._logic.ended(ended)
        if retry.report:
            self._report(
                Disconnected(retry.reason, retry.delay_s, ended.connected_s is not None, retry.repeated)
            )
            # Otherwise the same node is asked in another way: with another version, or for less.
            self._go_to_next_node()
        else:
            log.debug("%s: trying MQTT %s", retry.reason.text, retry.attempt.version)
            if ended.connected_s is not None:
                # What was sent is lost, however soon the next connection comes.
                self._on_event(Disconnected(retry.reason, retry.delay_s, was_connected=True, repeated=True))
        self._stopping.wait(retry.delay_s)

    def _go_to_next_node(self) -> None:
        self._node = (self._node + 1) % len(self._nodes)
        self._who = replace(self._who, address=self._nodes[self._node])

    def _report(self, event: Disconnected) -> None:
        level = logging.DEBUG if event.repeated else logging.WARNING
        log.log(
            level,
            "[%s] no connection: %s (next attempt in %.1f s)",
            event.reason.code,
            event.reason.text,
            event.delay_s,
        )
        self.last_reason = event.reason
        self._set(State.WAITING)
        self._on_event(event)

    def _handle(self, event: Event) -> None:
        match event:
            case Connected():
                event = replace(event, capabilities=self.capabilities)
                self._set(State.CONNECTED if self._options.subscriptions else State.READY)
                log.info("[connected] MQTT %s to %s", event.version, self.address)
                self._log_missing(event.capabilities)
            case Subscribed(refused):
                for topic, reason in refused:
                    log.warning("[%s] cannot read %s: %s", reason.code, topic, reason.text)
                self._set(State.READY)
                self._probe.start(self._who, self._logic.attempt.version, self.capabilities)
            case Acknowledged(number, code):
                with self._changed:
                    if number in self._acknowledged:
                        self._acknowledged[number] = code
                        self._changed.notify_all()
        self._on_event(event)

    def _on_probed(self, found: bool) -> None:
        changed, self._retained_at_wildcards = found != self._retained_at_wildcards, found
        if changed and self._connection is not None:
            self._log_missing(self.capabilities)
            self._on_event(CapabilitiesChanged(self.capabilities))

    def _log_missing(self, capabilities: Capabilities) -> None:
        if missing := capabilities.missing():
            log.warning("[broker_lacks] %s: %s", self.address.place, missing)

    def _set(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()
