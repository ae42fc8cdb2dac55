"""One connection to a broker, from CONNECT to its end.

The thread in `run` owns the socket: it alone calls paho. Other threads hand it what is to be sent (`publish`,
`acknowledge`, `close`) and wake it through a socket pair.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.mqtt import paho_client, reason_codes, tls
from edge.mqtt.events import Acknowledged, Capabilities, Connected, Event, Message, Subscribed
from edge.mqtt.reason_codes import Identity, Reason
from edge.mqtt.reconnect import Attempt, Ended
from edge.mqtt.session import ClientOptions, Publish, Subscription

log = logging.getLogger(__name__)

POLL_MS: Final = 1000
IN_FLIGHT: Final = 20
"""Unacknowledged publishes; many brokers allow 20 unless told otherwise."""
SUBSCRIBE_S: Final = 5.0
"""How long messages wait for the answer to our subscriptions."""
FLUSH_S: Final = 2.0
"""How long `close` waits for what is still to be sent and acknowledged."""


class Connection:
    """One connection to the broker, from CONNECT to its end.

    `post` is called by the thread in `run`, and must neither block nor raise.
    """

    def __init__(
        self, who: Identity, options: ClientOptions, attempt: Attempt, post: Callable[[Event], None]
    ) -> None:
        self._who = who
        self._options = options
        self._attempt = attempt
        self._post = post
        self._five = attempt.version == "5"
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._outgoing: deque[Publish] = deque()
        self._acknowledgements: deque[tuple[int, int]] = deque()
        self._in_flight: dict[int, Publish] = {}
        self._acknowledged_bytes = 0
        self._closing = threading.Event()
        self._over = False
        self._reason: Reason | None = None
        self._code: int | None = None
        self._connected_at: float | None = None
        self._subscribed = False
        self._subscribing: tuple[Subscription, ...] = ()
        self._asks_optional = False
        self._last_error = ""
        self._warned_oversized = False
        self.capabilities = Capabilities()
        self.oversized = 0
        self.turned_at = time.monotonic()
        """When the thread last showed that it is not stuck."""
        self._client = paho_client.make(options, attempt)
        self._set_callbacks()

    # --- for every thread ---

    @property
    def connected(self) -> bool:
        """Whether messages can be published now."""
        return self._connected_at is not None and not self._over and not self._closing.is_set()

    @property
    def waiting(self) -> int:
        """The number of messages that were passed to `publish` and not sent yet."""
        return len(self._outgoing)

    def publish(self, message: Publish) -> None:
        """Pass a message to the thread that owns the socket."""
        self._outgoing.append(message)
        self._wake()

    def close(self) -> None:
        """Ask the thread to send what is left, then DISCONNECT, and to end."""
        self._closing.set()
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def _acknowledge(self, number: int, qos: int) -> None:
        """For an old connection without effect: its socket is closed, and the broker sends the message again."""
        self._acknowledgements.append((number, qos))
        self._wake()

    # --- for the thread that owns the socket ---

    def run(self) -> Ended:
        """Connect and serve; return how it ended."""
        try:
            paho_client.connect(self._client, self._who.address, self._options, five=self._five)
            self._serve()
        except (OSError, ValueError) as error:
            self._reason = reason_codes.of_exception(error, self._who)
        finally:
            self._over = True
            paho_client.drop_socket(self._client)
            self._wake_reader.close()
            self._wake_writer.close()
        return self._ended()

    def _set_callbacks(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.on_socket_close = self._on_socket_close

    def _serve(self) -> None:
        answer_due = time.monotonic() + tls.CONNECT_TIMEOUT_S
        closing_due: float | None = None
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        while not self._over:
            self.turned_at = now = time.monotonic()
            if self._connected_at is None and now >= answer_due:
                self._reason = reason_codes.no_answer(self._who)
                return
            if self._closing.is_set():
                closing_due = closing_due or now + FLUSH_S
                if self._connected_at is None:
                    return
                if now >= closing_due:
                    # What is left is lost; but the broker shall not publish the last will.
                    self._client.disconnect()
                    return
            self._send_waiting()
            if self._client.socket() is None or not self._turn(poll):
                return

    def _send_waiting(self) -> None:
        """Pass to paho what other threads have handed over, as much as the broker takes at once."""
        while self._acknowledgements:
            self._client.ack(*self._acknowledgements.popleft())
        window = min(IN_FLIGHT, self.capabilities.receive_maximum)
        while self._outgoing and len(self._in_flight) < window and self._may_publish():
            self._send(self._outgoing.popleft())
        if self._closing.is_set() and not (self._outgoing or self._in_flight or self._client.want_write()):
            self._client.disconnect()

    def _may_publish(self) -> bool:
        """Whether the subscriptions are answered: a broker that closes the connection now does so because of a message.

        One that never answers gets the messages all the same.
        """
        if self._connected_at is None or (self._subscribed and not self._asks_optional):
            return self._connected_at is not None
        return time.monotonic() - self._connected_at > SUBSCRIBE_S

    def _send(self, message: Publish) -> None:
        info = paho_client.publish(self._client, message, self.capabilities, five=self._five)
        if not info.rc and info.is_published():  # QoS 0, written at once; paho raises after an error
            self._post(Acknowledged(message.number, 0, "Success", message.topic))
        else:
            self._in_flight[info.mid] = message

    def _turn(self, poll: select.poll) -> bool:
        """Wait for the socket or a wake-up, and do what there is to do; False when the connection is over."""
        client, channel = self._client, self._client.socket()
        assert channel is not None
        unread = isinstance(channel, ssl.SSLSocket) and channel.pending() > 0
        descriptor = channel.fileno()
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        ready = dict(poll.poll(0 if unread else POLL_MS))
        if self._wake_reader.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_reader.recv(4096)
        state = ready.get(descriptor, 0)
        try:
            if unread or state & ~select.POLLOUT:
                client.loop_read()
            if state & select.POLLOUT:
                client.loop_write()
            client.loop_misc()
        except OSError:
            raise
        except Exception as error:
            # paho raises whatever it stumbles over in an answer that is not MQTT.
            log.debug("cannot read the broker's answer: %r", error)
            self._reason = reason_codes.not_mqtt(self._who)
            return False
        return client.socket() is not None

    def _ended(self) -> Ended:
        connected_s = None if self._connected_at is None else time.monotonic() - self._connected_at
        reason, silent = self._reason, False
        if reason is None and self._code is not None:
            reason = reason_codes.of_code(self._code, "", self._who)
        elif reason is None and "SSL" in self._last_error:
            reason = reason_codes.of_tls_text(self._last_error, self._who)
        elif reason is None and connected_s is None and not self._closing.is_set():
            error = tls.refusal(self._who.address)
            silent = error is None
            explained = error and reason_codes.of_exception(error, self._who)
            reason = explained or reason_codes.closed_unanswered(self._who)
        elif reason is None:
            reason = reason_codes.closed(self._who)
            silent = not self._subscribed
        elif reason.code in ("no_answer", "not_mqtt"):
            silent = connected_s is None
        refused = self._asks_optional and not self._closing.is_set()
        sent = max((message.packet_bytes for message in self._in_flight.values()), default=0)
        return Ended(
            reason, connected_s, self._subscribed, self._code, silent, optional_refused=refused,
            unacknowledged_bytes=sent if sent > self._acknowledged_bytes else 0,
        )  # fmt: skip

    # --- paho's callbacks, in the same thread; none of these may raise ---

    def _on_connect(
        self,
        client: paho.Client,
        data: Any,
        flags: paho.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._code = code.value
            return
        self.capabilities = paho_client.capabilities_of(properties, self._attempt)
        self._connected_at = time.monotonic()
        self._subscribed = not self._options.subscriptions
        if self._options.unsubscribe:
            client.unsubscribe(list(self._options.unsubscribe))
        if self._options.subscriptions:
            self._subscribe(self._options.subscriptions)
        self._post(Connected(flags.session_present, self._attempt.version, self.capabilities))

    def _subscribe(self, wanted: tuple[Subscription, ...]) -> None:
        self._subscribing = wanted
        paho_client.subscribe(self._client, wanted, self.capabilities, five=self._five)

    def _on_subscribe(
        self,
        client: paho.Client,
        data: Any,
        mid: int,
        codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if self._asks_optional:
            self._asks_optional = False
            return
        wanted = self._subscribing
        failed = [(one, code) for one, code in zip(wanted, codes, strict=False) if code.is_failure]
        if self.capabilities.shared_subscriptions and any(one.share for one, _ in failed):
            # The broker did not announce that it lacks shared subscriptions: without them it is worth another try.
            self.capabilities = replace(self.capabilities, shared_subscriptions=False)
            self._subscribe(wanted)
            return
        self._subscribed = True
        refused = tuple(
            (one.topic, reason_codes.of_code(code.value, str(code), self._who, one.topic))
            for one, code in failed
        )
        self._post(Subscribed(refused))
        if self._options.optional:
            self._asks_optional = True
            self._subscribe(self._options.optional)

    def _on_publish(
        self, client: paho.Client, data: Any, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        if mid in self._in_flight:
            message = self._in_flight.pop(mid)
            self._acknowledged_bytes = max(self._acknowledged_bytes, message.packet_bytes)
            self._post(Acknowledged(message.number, code.value, str(code), message.topic))

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        number, qos = message.mid, message.qos
        size = self._client.packet_bytes
        topic = ""
        with contextlib.suppress(UnicodeDecodeError):
            topic = message.topic
        if not topic or size > self._options.max_packet_bytes:
            self._report_oversized(topic, size)
            self._client.ack(number, qos)
            return
        self._post(
            Message(
                topic,
                bytes(message.payload),
                message.retain,
                queued=not self._subscribed,
                acknowledge=lambda: self._acknowledge(number, qos),
            )
        )

    def _report_oversized(self, topic: str, size: int) -> None:
        self.oversized += 1
        level = logging.DEBUG if self._warned_oversized else logging.WARNING
        self._warned_oversized = True
        log.log(
            level,
            "[oversized_message] %d bytes on %.100r are dropped: too large, or no topic",
            size,
            topic,
        )

    def _on_disconnect(
        self,
        client: paho.Client,
        data: Any,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and self._code is None:
            self._code = code.value
        elif self._code is None and self._connected_at is not None and code.getName() == "Keep alive timeout":
            self._reason = reason_codes.keepalive(self._who)
        self._over = True

    def _on_socket_close(self, client: paho.Client, data: Any, channel: Any) -> None:
        if self._closing.is_set():
            paho_client.linger(channel)

    def _on_log(self, client: paho.Client, data: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._last_error = text
