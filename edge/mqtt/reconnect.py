"""When to connect again, and with which version of MQTT: decisions alone, without a socket or a clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final, Literal

from edge.mqtt import reason_codes
from edge.mqtt.reason_codes import Identity, Reason

GROWTH: Final = 1.5
FLOOR: Final = 1 / 3
"""Where a window begins, as a share of its end."""
STABLE_S: Final = 20.0
"""A connection that lasted so long has proved itself: the next back-off begins with its first window."""
SHORT_S: Final = 60.0
"""Two connections in a row that a broker closed sooner than this, without a reason: another client has our id."""
OTHER_VERSION_S: Final = 0.1
SMALL_BYTES: Final = 1024
"""No broker is suspected of a limit below this."""

Version = Literal["5", "3.1.1"]


class Backoff:
    """Waits of growing length, each a uniform choice from a window (Brooker, "Exponential Backoff And Jitter", 2015).

    So a thousand devices that lose one broker at the same instant come back spread out and not in waves. The window
    begins at a third of its end and grows by half, not from nothing and by doubling: simulated over outages from 0 s
    to an hour, the peak rate of connects is then at most 2.6 times the mean, and with "full jitter" up to 5 times.
    """

    def __init__(self, first_s: float = 6.0, cap_s: float = 60.0, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._rng = rng or random.Random()
        self._window = first_s

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        window = self._window
        self._window = min(self._cap_s, window * GROWTH)
        return self._rng.uniform(FLOOR * window, window)

    def reset(self) -> None:
        """Begin anew with the first window."""
        self._window = self._first_s


@dataclass(frozen=True)
class Attempt:
    """How the next connection is to be made."""

    version: Version = "5"
    will_retain: bool = True
    will_qos: int = 1
    max_packet_bytes: int = 2**28
    """Larger packets are not sent: the broker has closed earlier connections on them."""


@dataclass(frozen=True)
class Ended:
    """How a connection ended.

    `connected_s`: how long after the broker accepted it, None where it never did. `served`: the broker answered all
    that we sent at the start. `code`: the reason code of MQTT, where it gave one. `silent`: it ended without any
    answer, as brokers do that do not understand a version. `optional_refused`: it ended instead of an answer to
    `ClientOptions.optional`. `unacknowledged_bytes`: size of the largest packet that was sent, where the broker has
    taken none of that size. `broker_gone`: right afterwards the broker accepted no connection, so it has ended itself.
    """

    reason: Reason
    connected_s: float | None = None
    served: bool = False
    code: int | None = None
    silent: bool = False
    optional_refused: bool = False
    unacknowledged_bytes: int = 0
    broker_gone: bool = False

    @property
    def ended_soon(self) -> bool:
        """Whether it ended soon after CONNACK, and the broker gave no reason."""
        soon = self.connected_s is not None and self.connected_s < SHORT_S
        return soon and self.code is None and not self.silent

    @property
    def closed_soon(self) -> bool:
        """Whether the broker closed it so: by a restart, or for another client's sake."""
        return self.ended_soon and self.reason.code == "connection_closed"


@dataclass(frozen=True)
class Retry:
    """What to do after a connection: wait, then try `attempt`.

    `report` is false where only the version changes, or what is asked for.
    """

    attempt: Attempt
    delay_s: float
    reason: Reason
    report: bool
    repeated: bool


class ReconnectLogic:
    """Decides after every connection how and when the next one is made.

    One rule for the version: the one that worked last is tried first; a version that the broker refuses, or closes on
    without an answer before it ever worked, is changed for the other one.
    """

    def __init__(
        self, who: Identity, version: Literal["auto", "5", "3.1.1"], backoff: Backoff | None = None
    ) -> None:
        self._who = who
        self._auto = version == "auto"
        self._backoff = backoff or Backoff()
        self._worked: Version | None = None
        self._short_lives = 0
        self._large = 0
        self._last_code = ""
        self.attempt = Attempt("3.1.1" if version == "3.1.1" else "5")

    def ended(self, ended: Ended) -> Retry:
        """Take note of how a connection ended and return what to do next."""
        reason, was_connected = ended.reason, ended.connected_s is not None
        lasted = ended.connected_s or 0.0
        if ended.served:
            self._worked = self.attempt.version
        if ended.optional_refused:
            return Retry(self.attempt, OTHER_VERSION_S, reason, report=False, repeated=False)
        self._short_lives = self._short_lives + 1 if ended.closed_soon and not ended.broker_gone else 0
        if self._is_too_large(ended):
            size, self._short_lives = ended.unacknowledged_bytes, 0
            self.attempt = replace(self.attempt, max_packet_bytes=size - 1)
            reason = reason_codes.too_large(self._who, size)
        if self._short_lives > 1:
            reason = reason_codes.client_id_conflict(self._who)
        if lasted > STABLE_S and reason.code != "client_id_conflict":
            self._backoff.reset()
        if not was_connected and self._reduce_will(ended):
            return self._retry(reason, OTHER_VERSION_S, was_connected)
        if self._is_version_refused(ended):
            first = self.attempt.version == "5"
            self.attempt = replace(self.attempt, version="3.1.1" if first else "5")
            if first:
                return Retry(self.attempt, OTHER_VERSION_S, reason, report=False, repeated=False)
        return self._retry(reason, self._backoff.next(), was_connected)

    def _is_too_large(self, ended: Ended) -> bool:
        """A broker may have a limit that it does not announce, and close the connection on a larger message.

        Once may be chance, where it does not say so; twice in a row, before it has taken the message, is not.
        """
        large = ended.unacknowledged_bytes > SMALL_BYTES
        self._large = self._large + 1 if large and ended.ended_soon else 0
        found = self._large > 1 or (large and ended.code == reason_codes.PACKET_TOO_LARGE)
        if found:
            self._large = 0
        return found

    def _retry(self, reason: Reason, delay_s: float, was_connected: bool) -> Retry:
        repeated = reason.code == self._last_code and not was_connected
        self._last_code = reason.code
        return Retry(self.attempt, delay_s, reason, report=True, repeated=repeated)

    def _is_version_refused(self, ended: Ended) -> bool:
        if not self._auto:
            return False
        if ended.code == reason_codes.UNSUPPORTED_PROTOCOL:
            return True
        # A broker that this version worked with before is only slow, or restarting, when it is silent.
        return ended.silent and self._worked != self.attempt.version

    def _reduce_will(self, ended: Ended) -> bool:
        """A broker without retained messages, or without QoS 1, refuses the will: leave a lesser one."""
        before = self.attempt
        if ended.code == reason_codes.RETAIN_NOT_SUPPORTED:
            self.attempt = replace(before, will_retain=False)
        elif ended.code == reason_codes.QOS_NOT_SUPPORTED:
            self.attempt = replace(before, will_qos=0)
        elif ended.silent and not self._auto and before.version == "3.1.1" and self._worked is None:
            # MQTT 3.1.1 has no code for either: the broker closes. Then all over again, if it was something else.
            if before.will_retain:
                self.attempt = replace(before, will_retain=False)
            elif before.will_qos:
                self.attempt = replace(before, will_qos=0)
            else:
                self.attempt = replace(before, will_retain=True, will_qos=1)
                return False
        return self.attempt != before
