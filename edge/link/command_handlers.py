"""What the commands do: most are passed to the ear, and answered when its microphone shows the effect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from edge.config.settings import Config
from edge.link.commands import Handler, Reply, failed, ok
from edge.link.delivery.entry import Entry
from edge.protocol.messages import (
    Command,
    EarCommand,
    LevelOn,
    MicState,
    Mute,
    Response,
    Restart,
    Unmute,
)
from edge.releases.manager import ReleaseManager

log = logging.getLogger(__name__)

CONFIRM_S: Final = 5.0
"""How long the ear may take to carry a command out."""
NO_EAR: Final = "no ear is connected"


class LinkServices(Protocol):
    """What the command handlers use of the link."""

    @property
    def mic(self) -> MicState:
        """The last state of the microphone."""

    def send_to_ear(self, command: EarCommand) -> bool:
        """Send to the ear; False without one."""

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Send events once more; return them."""

    @property
    def releases(self) -> ReleaseManager:
        """What manages the device's model releases."""


class CommandHandlers:
    """`table` maps verbs to handlers; `on_mic_state` is to be called with every state of the microphone."""

    def __init__(self, config: Config, link: LinkServices, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._link = link
        self._loop = loop
        self._level_until = 0.0
        self._expected: list[tuple[Callable[[MicState], bool], Callable[[], None]]] = []
        self.table: dict[str, Handler] = {
            "mute": self._handle_mute,
            "unmute": self._handle_unmute,
            "level_on": self._handle_level_on,
            "restart": self._handle_restart,
            "identify": self._handle_identify,
            "replay": self._handle_replay,
            "model_check": self._handle_model_check,
            "model_rollback": self._handle_model_rollback,
        }

    def level_seconds(self) -> int:
        """Return for how long the level is still wanted; 0: not at all."""
        return max(0, round(self._level_until - self._loop.time()))

    def on_mic_state(self, state: MicState) -> None:
        """Answer the commands that waited for this state."""
        for expected in [e for e in self._expected if e[0](state)]:
            self._expected.remove(expected)
            expected[1]()

    def _handle_mute(self, command: Command, reply: Reply) -> None:
        if not command.on:
            self._handle_unmute(command, reply)
            return
        self._command_ear(Mute(), command, reply, _is_muted, "the ear has not muted in time")

    def _handle_unmute(self, command: Command, reply: Reply) -> None:
        self._command_ear(
            Unmute(), command, reply, _is_open, "still muted: it was muted at the device, unmute it there"
        )

    def _command_ear(
        self,
        message: Mute | Unmute,
        command: Command,
        reply: Reply,
        wanted: Callable[[MicState], bool],
        otherwise: str,
    ) -> None:
        """Send to the ear, and answer when the microphone's state shows the effect."""
        if not self._link.send_to_ear(message):
            reply(failed(command, NO_EAR))
            return
        if wanted(self._link.mic):
            reply(ok(command))
            return

        def late() -> None:
            self._expected.remove(expected)
            reply(failed(command, otherwise))

        timer = self._loop.call_later(CONFIRM_S, late)

        def done() -> None:
            timer.cancel()
            reply(ok(command))

        expected = (wanted, done)
        self._expected.append(expected)

    def _handle_level_on(self, command: Command, reply: Reply) -> None:
        if not self._link.send_to_ear(LevelOn(command.seconds)):
            reply(failed(command, NO_EAR))
            return
        self._level_until = self._loop.time() + command.seconds
        reply(ok(command))

    def _handle_restart(self, command: Command, reply: Reply) -> None:
        reply(ok(command) if self._link.send_to_ear(Restart()) else failed(command, NO_EAR))

    def _handle_model_check(self, command: Command, reply: Reply) -> None:
        why_not = self._link.releases.request_check()
        reply(failed(command, why_not) if why_not else ok(command))

    def _handle_model_rollback(self, command: Command, reply: Reply) -> None:
        self._link.releases.roll_back(
            "rolled back by a command", lambda error: reply(failed(command, error) if error else ok(command))
        )

    def _handle_identify(self, command: Command, reply: Reply) -> None:
        log.warning("[identify] this is %s (%s)", self._config.node.id, self._config.node.name or "no name")
        reply(ok(command))

    def _handle_replay(self, command: Command, reply: Reply) -> None:
        if command.boot is None:
            reply(failed(command, "`boot` is missing"))
            return
        entries = self._link.replay(command.boot, command.from_seq, command.to_seq)
        if not entries:
            reply(failed(command, "none of these events is kept any more"))
            return
        reply(
            Response(transaction=command.transaction, ok=True, events=len(entries), first_seq=entries[0].seq)
        )


def _is_muted(state: MicState) -> bool:
    return state == "muted"


def _is_open(state: MicState) -> bool:
    # `lost` and `starting` come from an ear that has opened the microphone and does not hear yet.
    return state != "muted"
