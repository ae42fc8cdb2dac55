"""Mute and unmute over MQTT: passed to the ear, and answered when its microphone shows the effect.

A mute is kept on disk until the ear has confirmed it. So one that comes while no ear is connected, or just before the
ear or the device is restarted, is carried out when an ear connects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.link.commands import Reply, failed, ok
from edge.protocol import Command, EarCommand, MicSignal, Mute, MutedBy, Unmute
from edge.util.errors import reason

log = logging.getLogger(__name__)

CONFIRM_S: Final = 5.0
"""How long the ear may take to carry a command out."""
NO_EAR: Final = "no ear is connected"
NOT_MUTED: Final = "the ear has not muted in time; it will be told again when it connects"
REASONS: Final[dict[MutedBy, str]] = {
    "device": "it was muted at the device, unmute it there",
    "quiet_hours": "quiet hours are in force (`audio.quiet_hours`)",
    "remote": "it was muted remotely",
}


@dataclass(eq=False)
class _Waiting:
    """A command that is answered when the microphone shows its effect."""

    command: Command
    reply: Reply
    mute: bool
    timer: asyncio.TimerHandle


class MuteCommands:
    """Passes mute and unmute to the ear and responds when the microphone has followed.

    `send` passes a command to the ear and returns False without one; `pending` is the file of a mute that is not
    confirmed.
    """

    def __init__(
        self, send: Callable[[EarCommand], bool], loop: asyncio.AbstractEventLoop, pending: Path
    ) -> None:
        self._send = send
        self._loop = loop
        self._file = pending
        self._pending = pending.exists()
        self._mic = MicSignal("starting")
        self._waiting: list[_Waiting] = []

    def mute(self, command: Command, reply: Reply) -> None:
        """Handle `mute`; with `on` false it unmutes, for switches that know one topic only."""
        if not command.on:
            self.unmute(command, reply)
            return
        self._keep(True)
        if not self._send(Mute()):
            log.info("[mute_kept] no ear is connected: it will be muted when it connects")
            reply(ok(command))
        elif self._mic.state == "muted":
            reply(ok(command))
        else:
            self._wait(command, reply, mute=True)

    def unmute(self, command: Command, reply: Reply) -> None:
        """Handle `unmute`: withdraw what was muted remotely, and say why the microphone stays closed if it does."""
        kept = self._pending
        self._keep(False)
        if not self._send(Unmute()):
            reply(ok(command) if kept else failed(command, NO_EAR))
        elif self._mic.state != "muted":
            # `lost` and `starting` come from an ear that has opened the microphone and does not hear yet.
            reply(ok(command))
        elif self._mic.muted_by and "remote" not in self._mic.muted_by:
            reply(failed(command, self._still_muted()))
        else:
            self._wait(command, reply, mute=False)

    def on_ear_connected(self) -> None:
        """Carry out a mute that came while no ear was connected."""
        if self._pending:
            log.info("[mute_carried_out] the ear is told of a mute that it has not confirmed")
            self._send(Mute())

    def on_mic(self, mic: MicSignal) -> None:
        """Note the microphone's state, and answer the commands that waited for it."""
        self._mic = mic
        if "remote" in mic.muted_by:
            self._keep(False)
        for one in list(self._waiting):
            if one.mute == (mic.state == "muted"):
                self._answer(one, "")
            elif not one.mute and mic.muted_by and "remote" not in mic.muted_by:
                self._answer(one, self._still_muted())

    def _wait(self, command: Command, reply: Reply, *, mute: bool) -> None:
        def expire() -> None:
            self._answer(one, NOT_MUTED if mute else self._still_muted())

        one = _Waiting(command, reply, mute, self._loop.call_later(CONFIRM_S, expire))
        self._waiting.append(one)

    def _answer(self, one: _Waiting, error: str) -> None:
        one.timer.cancel()
        self._waiting.remove(one)
        one.reply(failed(one.command, error) if error else ok(one.command))

    def _still_muted(self) -> str:
        reasons = [REASONS[reason] for reason in self._mic.muted_by if reason != "remote"]
        return f"still muted: {'; '.join(reasons) or REASONS['device']}"

    def _keep(self, pending: bool) -> None:
        if pending == self._pending:
            return
        self._pending = pending
        try:
            if pending:
                self._file.touch()
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.warning(
                "[mute_not_saved] %s cannot be written (%s): kept in memory", self._file, reason(error)
            )
