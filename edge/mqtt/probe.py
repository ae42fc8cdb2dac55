"""One attempt to connect, for `roomtone doctor`: how does the broker answer?"""

from __future__ import annotations

from edge.mqtt import reason_codes, tls
from edge.mqtt.address import BrokerAddress
from edge.mqtt.connection import Connection
from edge.mqtt.events import Connected, Event
from edge.mqtt.reason_codes import Identity, Reason
from edge.mqtt.reconnect import Attempt, Ended, ReconnectLogic
from edge.mqtt.session import ClientOptions

ATTEMPTS = 3
"""MQTT 5, 3.1.1, and once more where a broker refuses something of the first."""


def probe(address: BrokerAddress, client_id: str) -> Connected | Reason:
    """Connect once and disconnect; takes seconds where nothing answers.

    The client id must not be one that is in use: the broker would close the other connection.
    """
    who = Identity(address, client_id)
    logic = ReconnectLogic(who, address.version)
    reason = reason_codes.closed(who)
    for _ in range(ATTEMPTS):
        attempt = logic.attempt
        found, ended = _connect(who, attempt)
        if found is not None:
            return found
        retry = logic.ended(ended)
        reason = retry.reason
        if retry.attempt == attempt:
            break
    return reason


def _connect(who: Identity, attempt: Attempt) -> tuple[Connected | None, Ended]:
    found: list[Connected] = []

    def note(event: Event) -> None:
        if isinstance(event, Connected):
            found.append(event)
            connection.close()

    connection = Connection(who, ClientOptions(who.client_id), attempt, note)
    ended = connection.run()
    return (found[0] if found else None), ended


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
