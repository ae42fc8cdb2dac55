"""Commands of subscribers: checked, answered once, and without effect when anything is wrong.

A command is ignored without an answer when it is retained (it would act again at every connection), and refused with
one when it is malformed, unknown or older than a minute. One that waited at the broker while we were away counts as old
unless its `sent_at` says otherwise. A `mute` without a time is never too old. The same command twice in a row gets the
same answer and acts no second time. Who may send commands is the broker's access list.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from edge.protocol import Command, Response
from edge.util import timestamps
from edge.util.rate_limit import TokenBucket
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)

MAX_BYTES: Final = 1024
MAX_ERROR: Final = 200
MAX_AGE_S: Final = 60.0
PER_SECOND: Final = 2.0
BURST: Final = 10
AGAIN_S: Final = 10.0
"""The same command again so soon is the same one, delivered twice (QoS 1)."""

MUTE_COMMANDS: Final = frozenset({"mute", "unmute"})
ALWAYS_RUN: Final = MUTE_COMMANDS | {"model_check"}
"""Never taken for a repetition: between two of the same payload the device may have been unmuted by hand, or a release
published. Home Assistant's button for an update cannot make a transaction for each press."""

Reply = Callable[[Response], None]
Handler = Callable[[Command, Reply], None]
"""Carries a command out and replies exactly once, now or later."""

_decoder = msgspec.json.Decoder(Command)
_verb = re.compile(r"[a-z_]{1,32}\Z")
_transaction = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


def ok(command: Command) -> Response:
    """Return the response to a command that was carried out."""
    return Response(transaction=command.transaction, ok=True)


def failed(command: Command, error: str) -> Response:
    """Return the response to a command that was not carried out, with the reason."""
    return Response(transaction=command.transaction, ok=False, error=error)


class Commands:
    """Validates commands, refuses retained, repeated and late ones, and passes the others to their handlers.

    `respond` publishes a response; `clock` returns wall-clock seconds, and `clock_is_right` whether they can be
    trusted.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        respond: Callable[[str, Response], None],
        clock_is_right: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._handlers = handlers
        self._respond = respond
        self._clock_is_right = clock_is_right
        self._clock = clock
        self._bucket = TokenBucket(PER_SECOND, BURST, time.monotonic)
        # A bucket of their own: a flood of other commands must not swallow a mute.
        self._mute_bucket = TokenBucket(PER_SECOND, BURST, time.monotonic)
        self._warned_too_many = False
        self._last: tuple[str, Command, float] | None = None
        self._last_answer: Response | None = None
        self.refused = 0

    def handle(self, verb: str, payload: bytes, retain: bool, queued: bool) -> None:
        """Handle one message of `cmd/<verb>`. Never raises."""
        if retain:
            log.info("[retained_command] a retained command (%.40r) is ignored", verb)
            return
        if not _verb.match(verb):
            self.refused += 1
            return
        bucket = self._mute_bucket if verb in MUTE_COMMANDS else self._bucket
        if bucket.take() > 0:
            self.refused += 1
            if not self._warned_too_many:
                log.warning(
                    "[too_many_commands] more than %d commands a second: some are ignored",
                    PER_SECOND,
                )
            self._warned_too_many = True
            return
        self._warned_too_many = False
        try:
            command = _decode(payload)
        except msgspec.MsgspecError as error:
            self._refuse(
                verb,
                Response(transaction=_transaction_of(payload), ok=False, error=f"malformed: {_short(error)}"),
            )
            return
        handler = self._handlers.get(verb)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            self._refuse(verb, failed(command, f"unknown command; known here: {known}"))
            return
        # Home Assistant sends no time. A microphone that is closed late is what was wanted; one that stays open is not.
        closes = verb == "mute" and command.on and command.sent_at is None
        if not closes and self._is_old(command, queued):
            self._refuse(verb, failed(command, f"sent more than {MAX_AGE_S:.0f} s ago: send it again"))
            return
        self._run(verb, command, handler)

    def _run(self, verb: str, command: Command, handler: Handler) -> None:
        now = time.monotonic()
        if verb not in ALWAYS_RUN and self._is_repetition(verb, command, now):
            if self._last_answer is not None:
                self._respond(verb, self._last_answer)
            return
        this = self._last = (verb, command, now)
        self._last_answer = None

        def reply(response: Response) -> None:
            if self._last is this:
                # A failure is never remembered: what failed may work when it is tried again.
                self._last, self._last_answer = (this, response) if response.ok else (None, None)
            self._respond(verb, response)

        log.info("[command] %s", verb)
        handler(command, reply)

    def _is_repetition(self, verb: str, command: Command, now: float) -> bool:
        last = self._last
        return last is not None and last[:2] == (verb, command) and now < last[2] + AGAIN_S

    def _refuse(self, verb: str, response: Response) -> None:
        self.refused += 1
        log.info("[command_refused] %s: %s", verb, response.error)
        self._respond(verb, response)

    def _is_old(self, command: Command, queued: bool) -> bool:
        if command.sent_at is None:
            # Without a time to compare, only what arrives live is known to be fresh.
            return queued
        try:
            sent = timestamps.parse(command.sent_at)
        except ValueError:
            return True
        age = self._clock() - sent.timestamp()
        if age < -MAX_AGE_S and not self._clock_is_right():
            # A device that does not know the time yet is behind it: what seems to come from the future may be fresh.
            return queued
        return abs(age) > MAX_AGE_S


def _decode(payload: bytes) -> Command:
    if len(payload) > MAX_BYTES:
        raise msgspec.ValidationError(f"{len(payload)} bytes, at most {MAX_BYTES} are allowed")
    try:
        return _decoder.decode(payload)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("not UTF-8") from None
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None


def _short(error: Exception) -> str:
    """What is wrong, without what the sender could put into our log through the name of a key."""
    return "".join(c if c.isprintable() else "?" for c in in_words(error)[:MAX_ERROR])


def _transaction_of(payload: bytes) -> str:
    """The transaction of a command that is wrong elsewhere, so that its sender recognises the answer."""
    if len(payload) > MAX_BYTES:
        return ""
    try:
        tree: Any = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    found = tree.get("transaction") if isinstance(tree, dict) else None
    return found if isinstance(found, str) and _transaction.match(found) else ""
