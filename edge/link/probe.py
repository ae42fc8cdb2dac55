"""One attempt to connect, for `roomtone doctor`: how does the broker answer?"""

from __future__ import annotations

import queue
import threading

from edge.config import Config
from edge.link import reasons
from edge.link.greeting import waits_for_us
from edge.link.happenings import BrokerEvent, Up
from edge.link.reasons import Reason
from edge.link.session import Session


def probe(config: Config) -> Up | Reason:
    """Connects once, under a name of its own, and leaves again. Takes seconds where nobody answers."""
    versions = {"auto": (True, False), "5": (True,), "3.1.1": (False,)}[config.mqtt.version]
    found: Up | Reason = reasons.closed(config)
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
        return None if waits_for_us(config) else reasons.closed(config)
    except (OSError, ValueError) as error:
        return reasons.of_exception(error, config)


def _attempt(config: Config, five: bool) -> tuple[Up | Reason, bool]:
    events: queue.SimpleQueue[BrokerEvent | tuple[Reason, bool]] = queue.SimpleQueue()
    session = Session(
        config,
        five=five,
        will=None,
        subscriptions=(),
        post=events.put,
        stopping=threading.Event(),
        client_id=f"{reasons.client_id(config)}-doctor",
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
