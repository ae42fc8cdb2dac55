"""One attempt to connect, for `roomtone doctor`: how does the broker answer?"""

from __future__ import annotations

import queue
import threading

from edge.config.settings import Config
from edge.mqtt import reason_codes
from edge.mqtt.events import BrokerEvent, Up
from edge.mqtt.reason_codes import Reason
from edge.mqtt.session import Session
from edge.mqtt.tls_refusal import waits_for_us


def probe(config: Config) -> Up | Reason:
    """Connects once, under a name of its own, and leaves again. Takes seconds where nobody answers."""
    versions = {"auto": (True, False), "5": (True,), "3.1.1": (False,)}[config.mqtt.version]
    found: Up | Reason = reason_codes.closed(config)
    for five in versions:
        found, other_version = _attempt(config, five)
        if isinstance(found, Up) or not other_version:
            break
    return found


def handshake(config: Config) -> Reason | None:
    """TLS alone: what is wrong with it. A broker that makes the client id of the name in the certificate would throw
    the running link out for a second client with the same one.
    """
    try:
        return None if waits_for_us(config) else reason_codes.closed(config)
    except (OSError, ValueError) as error:
        return reason_codes.of_exception(error, config)


def _attempt(config: Config, five: bool) -> tuple[Up | Reason, bool]:
    events: queue.SimpleQueue[BrokerEvent | tuple[Reason, bool]] = queue.SimpleQueue()
    session = Session(
        config,
        five=five,
        will=None,
        subscriptions=(),
        post=events.put,
        stopping=threading.Event(),
        client_id=f"{reason_codes.client_id(config)}-doctor",
    )
    thread = threading.Thread(target=lambda: events.put(session.run()), daemon=True)
    thread.start()
    first = events.get()
    if isinstance(first, tuple):
        return first
    session.leave()
    thread.join(5)
    assert isinstance(first, Up)
    return first, False
