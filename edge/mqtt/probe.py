"""One attempt to connect, for `roomtone doctor`: how does the broker answer?"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from edge.mqtt import reason_codes, tls
from edge.mqtt.address import BrokerAddress
from edge.mqtt.connection import Connection
from edge.mqtt.events import Acknowledged, Connected, Event, Subscribed
from edge.mqtt.reason_codes import FAILURE, Identity, Reason
from edge.mqtt.reconnect import Attempt, Ended, ReconnectLogic
from edge.mqtt.session import ClientOptions, Publish

ATTEMPTS: Final = 3
"""MQTT 5, 3.1.1, and once more where a broker refuses something of the first."""
ANSWER_S: Final = 10.0
"""How long subscriptions and messages may stay unanswered."""


@dataclass
class Probe:
    """What a broker accepts."""

    connected: Connected | None = None
    """None: not even the connection, for which `refused` has one reason."""
    refused: list[Reason] = field(default_factory=list)
    unanswered: bool = False
    """Something was not answered in `ANSWER_S`."""
    closed: bool = False
    """The broker has closed the connection instead of answering all that was sent."""


def probe(address: BrokerAddress, options: ClientOptions, messages: Sequence[Publish] = ()) -> Probe:
    """Connect once with these options, publish, and disconnect; takes seconds where nothing answers.

    The client id must not be one that is in use: the broker would close the other connection. With a last will that is
    refused, the same is tried without one, to know which of them it is.
    """
    found = _attempts(address, options, messages)
    if found.connected is None and options.will is not None:
        without = _attempts(address, replace(options, will=None), messages)
        if without.connected is not None:
            about = f"{address.place} refuses the last will (retained, on {options.will.topic})"
            without.refused.insert(0, Reason("will_refused", f"{about}: {found.refused[0].text}"))
            return without
    return found


def _attempts(address: BrokerAddress, options: ClientOptions, messages: Sequence[Publish]) -> Probe:
    who = Identity(address, options.client_id)
    logic = ReconnectLogic(who, address.version)
    reason = reason_codes.closed(who)
    for _ in range(ATTEMPTS):
        attempt = logic.attempt
        exchange = _Exchange(who, options, attempt, messages)
        ended = exchange.run()
        if exchange.found.connected is not None:
            return exchange.found
        retry = logic.ended(ended)
        reason = retry.reason
        if retry.attempt == attempt:
            break
    return Probe(refused=[reason])


class _Exchange:
    """One connection, which closes itself when all is answered."""

    def __init__(
        self, who: Identity, options: ClientOptions, attempt: Attempt, messages: Sequence[Publish]
    ) -> None:
        self.found = Probe()
        self._who = who
        self._subscribes = bool(options.subscriptions)
        self._messages = {message.number: message for message in messages}
        self._connection = Connection(who, options, attempt, self._note)

    def run(self) -> Ended:
        late = threading.Timer(tls.CONNECT_TIMEOUT_S + ANSWER_S, self._give_up)
        late.daemon = True
        late.start()
        try:
            ended = self._connection.run()
        finally:
            late.cancel()
        self.found.closed = bool(self._messages) and not self.found.unanswered
        return ended

    def _give_up(self) -> None:
        self.found.unanswered = True
        self._connection.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, Connected):
            self.found.connected = event
            if not self._subscribes:
                self._publish()
        elif isinstance(event, Subscribed):
            self.found.refused += [reason for _, reason in event.refused]
            self._publish()
        elif isinstance(event, Acknowledged) and event.number in self._messages:
            message = self._messages.pop(event.number)
            if event.code >= FAILURE:
                self.found.refused.append(
                    reason_codes.of_code(event.code, event.name, self._who, message.topic)
                )
            self._close_if_done()

    def _publish(self) -> None:
        for message in self._messages.values():
            self._connection.publish(message)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self._messages:
            self._connection.close()


def handshake(address: BrokerAddress, client_id: str) -> Reason | None:
    """Do the TLS handshake alone and return what is wrong with it; None when all is well.

    A broker that makes the client id of the name in the certificate would close the running link's connection for a
    second client with the same one.
    """
    who = Identity(address, client_id)
    try:
        return None if tls.broker_waits(address) else reason_codes.closed(who)
    except (OSError, ValueError) as error:
        return reason_codes.of_exception(error, who)
