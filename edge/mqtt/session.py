"""One connection to the broker, from CONNECT to its end.

paho's own thread does the work of the network; nothing of paho is seen outside this file.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.config.settings import Config
from edge.mqtt import reason_codes, wakeup
from edge.mqtt.credentials import password, tls_context
from edge.mqtt.events import (
    BrokerEvent,
    Incoming,
    Taken,
    Up,
    Will,
)
from edge.mqtt.reason_codes import Reason
from edge.mqtt.tls_refusal import CONNECT_TIMEOUT_S, waits_for_us

log = logging.getLogger(__name__)

SESSION_EXPIRY_S: Final = 3600


class Session:
    """One connection, from CONNECT to its end."""

    def __init__(
        self,
        config: Config,
        *,
        five: bool,
        will: Will | None,
        subscriptions: Sequence[str],
        post: Callable[[BrokerEvent], None],
        stopping: threading.Event,
        client_id: str = "",
    ) -> None:
        self._config = config
        self._client_id = client_id or reason_codes.client_id(config)
        self._five = five
        self._subscriptions = subscriptions
        self._post = post
        self._stopping = stopping
        self._ended = threading.Event()
        self._welcome = threading.Event()
        self._reason: Reason | None = None
        self._code: int | None = None
        self._subscribed = False
        self._largest = 2**28
        self._last_words = ""
        self.connected_at: float | None = None
        self.turned = time.monotonic()  # when it last showed that it is not stuck
        wakeup.by_unix_socket()
        self._client = self._make(will)

    def _make(self, will: Will | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._five else False,
            protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.suppress_exceptions = True
        return client

    def run(self) -> tuple[Reason, bool]:
        """Returns when the connection is over: why, and whether another version of MQTT should be tried."""
        config, client = self._config, self._client
        try:
            if config.mqtt.username:
                client.username_pw_set(config.mqtt.username, password(config.mqtt))
            if config.mqtt.tls:
                client.tls_set_context(tls_context(config.mqtt))
            self._connect()
        except (OSError, ValueError) as error:
            return reason_codes.of_exception(error, config), False
        client.loop_start()
        self.turned = time.monotonic()
        worker = next((t for t in threading.enumerate() if self._client_id in t.name), None)
        if not self._welcome.wait(CONNECT_TIMEOUT_S):
            self._reason = reason_codes.silent(config)
            self._hang_up()
        while not self._ended.wait(2.0):
            self.turned = time.monotonic()
            if worker is None or not worker.is_alive():
                # paho's thread can die of an answer that it cannot parse; nobody would tell us.
                self._reason = Reason("garbled", f"{reason_codes.place(config)} sends what is not MQTT")
                break
        if self._stopping.is_set():
            # `leave` may have come before the connection was up.
            self._hang_up()
        client.loop_stop()
        return self._why()

    def lasted(self) -> float:
        """Seconds since the broker's welcome; 0 without one."""
        return 0.0 if self.connected_at is None else time.monotonic() - self.connected_at

    def leave(self) -> None:
        """In good order: DISCONNECT."""
        self._client.disconnect()
        self._welcome.set()
        self._ended.wait(1.0)
        self._ended.set()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool, expiry_s: int | None) -> int | None:
        """Sends now, and returns the number that `Taken` will carry; None while there is no connection."""
        if self.connected_at is None or self._ended.is_set():
            return None
        if len(payload) + len(topic) + 64 > self._largest:
            log.warning("%s: %d bytes are more than the broker takes; not sent", topic, len(payload))
            return None
        properties = None
        if self._five and expiry_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_s
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return info.mid

    def _connect(self) -> None:
        mqtt = self._config.mqtt
        port = reason_codes.port(self._config)
        if not self._five:
            self._client.connect(mqtt.host, port, mqtt.keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect(mqtt.host, port, mqtt.keepalive_s, clean_start=False, properties=properties)

    def _subscribe(self) -> None:
        if not self._subscriptions:
            self._subscribed = True
            return
        topics: list[tuple[str, Any]]
        if self._five:
            # Retained messages are not wanted, and the flag of a live one is to stay on it: it says that the
            # sender meant it for whoever comes later, and such a command is ignored.
            options = SubscribeOptions(
                qos=1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
            )
            topics = [(name, options) for name in self._subscriptions]
        else:
            topics = [(name, 1) for name in self._subscriptions]
        self._client.subscribe(topics)

    def _why(self) -> tuple[Reason, bool]:
        config = self._config
        if self._reason is not None:
            # Some brokers keep silent when they do not understand MQTT 5.
            return self._reason, self.connected_at is None
        if self._code is not None:
            return reason_codes.of_code(
                self._code, "", config
            ), self._code == reason_codes.UNSUPPORTED_PROTOCOL
        if "SSL" in self._last_words:
            return reason_codes.of_tls_text(self._last_words, config), False
        if self.connected_at is None:
            refusal = _tls_refusal(config)
            if refusal is not None:
                return refusal, False
            return reason_codes.not_welcomed(config), True
        return reason_codes.closed(config), False

    def _hang_up(self) -> None:
        """Ends the connection from our side, whatever state it is in."""
        channel = self._client.socket()
        if channel is not None:
            with contextlib.suppress(OSError):
                # The plain function: that of a TLS socket would take the TLS layer away under the other thread.
                socket.socket.shutdown(cast(socket.socket, channel), socket.SHUT_RDWR)

    # Called by paho's thread. None of these may raise.

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
        self.connected_at = time.monotonic()
        # A broker closes the connection on a message that is larger than it takes, at every attempt again.
        self._largest = getattr(properties, "MaximumPacketSize", self._largest)
        self._subscribe()
        self._post(Up(flags.session_present, "5" if self._five else "3.1.1"))
        self._welcome.set()

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
        elif self._code is None and self.connected_at is not None and code.getName() == "Keep alive timeout":
            self._reason = Reason(
                "keepalive",
                f"{reason_codes.place(self._config)} has not answered for {self._config.mqtt.keepalive_s} s",
            )
        self._ended.set()
        self._welcome.set()

    def _on_subscribe(
        self, client: paho.Client, data: Any, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        self._subscribed = True
        for name, code in zip(self._subscriptions, codes, strict=False):
            if code.is_failure:
                log.warning(
                    "cannot read %s: %s", name, reason_codes.of_code(code.value, str(code), self._config).text
                )

    def _on_publish(
        self, client: paho.Client, data: Any, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._post(Taken(mid, code.value, str(code)))

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._post(Incoming(topic, bytes(message.payload), message.retain, not self._subscribed))

    def _on_log(self, client: paho.Client, data: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._last_words = text


def _tls_refusal(config: Config) -> Reason | None:
    """What the broker says about our certificate, if anything.

    With TLS 1.3 it speaks after the handshake, and closes; what we have sent meanwhile makes the kernel throw its words
    away. So we ask once more, and say nothing this time.
    """
    if not config.mqtt.tls:
        return None
    try:
        waits_for_us(config)
    except ssl.SSLError as error:
        return reason_codes.of_exception(error, config)
    except (OSError, ValueError):
        return None
    return None
