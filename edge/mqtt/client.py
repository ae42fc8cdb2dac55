"""The connection to the broker: keeps trying, and tells what happens as a few plain events.

A thread of our own makes one session with one paho client for each connection. So nothing of an old connection can
be sent on a new one behind our back: what has to be sent again is the decision of the outbox alone. The broker
keeps our session (clean start = 0), and `session_present` in its answer tells whether it has forgotten us.

MQTT 5 first; where the broker refuses it or closes without a word, 3.1.1 is tried next.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from edge.config.settings import Config
from edge.mqtt import reason_codes
from edge.mqtt.events import BrokerEvent, Down, Will
from edge.mqtt.reason_codes import Reason
from edge.mqtt.reconnect import Backoff
from edge.mqtt.session import Session

log = logging.getLogger(__name__)

STABLE_S: Final = 20.0
"""A connection that lasted so long has proved itself: the next back-off begins with its first window."""
SHORT_S: Final = 60.0
"""Two connections in a row that were closed sooner than this, without a word: somebody else has our client id."""


class Broker:
    """`post` is called from other threads and must only pass the event on."""

    def __init__(
        self,
        config: Config,
        will: Will | None,
        subscriptions: Sequence[str],
        post: Callable[[BrokerEvent], None],
        rng: random.Random | None = None,
    ) -> None:
        self._config = config
        self._will = will
        self._subscriptions = tuple(subscriptions)
        self._post = post
        self._backoff = Backoff(rng)
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._refused_five = config.mqtt.version == "3.1.1"
        self._said = ""
        self._short_lives = 0
        self._took_five = False
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Begins to connect, in the background."""
        self._thread.start()

    def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, expiry_s: int | None = None
    ) -> int | None:
        """Sends now, and returns the number that `Taken` will carry; None while there is no connection."""
        session = self._session
        return None if session is None else session.publish(topic, payload, qos, retain, expiry_s)

    def stop(self, timeout: float = 3.0) -> None:
        """Says DISCONNECT (so the broker keeps the will to itself) and ends the thread."""
        self._stopping.set()
        session = self._session
        if session is not None:
            session.leave()
        self._thread.join(timeout)

    def stuck_s(self) -> float:
        """How long the thread has given no sign; 0 while it rests between two attempts."""
        session = self._session
        return 0.0 if session is None else time.monotonic() - session.turned

    def _run(self) -> None:
        while not self._stopping.is_set():
            five = not self._refused_five
            session = Session(
                self._config,
                five=five,
                will=self._will,
                subscriptions=self._subscriptions,
                post=self._post,
                stopping=self._stopping,
            )
            self._session = session
            reason, other_version = session.run()
            self._session = None
            if self._stopping.is_set():
                return
            short = session.connected_at is not None and reason.key == "closed" and session.lasted() < SHORT_S
            self._short_lives = self._short_lives + 1 if short else 0
            if self._short_lives > 1:
                reason = reason_codes.twin(self._config)
            if session.lasted() > STABLE_S and reason.key != f"code {reason_codes.SESSION_TAKEN_OVER}":
                self._backoff.reset()
            if session.connected_at is not None:
                # Perhaps it was only restarting when it refused MQTT 5: that is tried first again.
                self._refused_five = self._config.mqtt.version == "3.1.1"
                self._took_five = five
            elif self._should_change(reason, other_version):
                self._refused_five = five
                if five:
                    log.debug("%s does not take MQTT 5: trying 3.1.1", reason_codes.place(self._config))
                    self._stopping.wait(0.1)
                    continue
            delay = self._backoff.next()
            self._say(reason, session.connected_at is not None, delay)
            self._post(Down(reason))
            self._stopping.wait(delay)

    def _should_change(self, reason: Reason, other_version: bool) -> bool:
        """Whether to try the other version of MQTT. A broker that took MQTT 5 before is only slow when it is silent."""
        if self._config.mqtt.version != "auto" or not other_version:
            return False
        return not self._took_five or reason.key == f"code {reason_codes.UNSUPPORTED_PROTOCOL}"

    def _say(self, reason: Reason, was_up: bool, delay: float) -> None:
        """One line for each change of reason, and for each loss of a connection that was up."""
        if was_up or reason.key != self._said:
            log.warning("no connection: %s (next attempt in %.1f s)", reason.text, delay)
        else:
            log.debug("still no connection: %s (next attempt in %.1f s)", reason.text, delay)
        self._said = reason.key
