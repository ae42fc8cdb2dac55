"""What the commands do: most are orders to the ear, answered when it has obeyed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from edge.config.settings import Config
from edge.link.commands import Action, Reply, failed, ok
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
"""How long the ear may take to do as it is told."""
NO_EAR: Final = "no ear is connected"


class House(Protocol):
    """What the actions need of the link."""

    @property
    def mic(self) -> MicState:
        """The state of the microphone as last told."""

    def tell_ear(self, order: EarCommand) -> bool:
        """Sends to the ear; False without one."""

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Sends events once more; returns them."""

    @property
    def releases(self) -> ReleaseManager:
        """Who looks after the model."""


class Actions:
    """`table` maps verbs to actions; `mic_is` has to be told every state of the microphone."""

    def __init__(self, config: Config, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._house = house
        self._loop = loop
        self._level_until = 0.0
        self._expected: list[tuple[Callable[[MicState], bool], Callable[[], None]]] = []
        self.table: dict[str, Action] = {
            "mute": self._mute,
            "unmute": self._unmute,
            "level_on": self._level_on,
            "restart": self._restart,
            "identify": self._identify,
            "replay": self._replay,
            "model_check": self._model_check,
            "model_rollback": self._model_rollback,
        }

    def level_seconds(self) -> int:
        """For how long the level is wanted still; 0: not at all."""
        return max(0, round(self._level_until - self._loop.time()))

    def mic_is(self, state: MicState) -> None:
        """Answers those who waited for it."""
        for expected in [e for e in self._expected if e[0](state)]:
            self._expected.remove(expected)
            expected[1]()

    def _mute(self, command: Command, reply: Reply) -> None:
        if not command.on:
            self._unmute(command, reply)
            return
        self._order(Mute(), command, reply, _is_muted, "the ear has not muted in time")

    def _unmute(self, command: Command, reply: Reply) -> None:
        self._order(
            Unmute(), command, reply, _is_open, "still muted: it was muted at the device, unmute it there"
        )

    def _order(
        self,
        order: Mute | Unmute,
        command: Command,
        reply: Reply,
        wanted: Callable[[MicState], bool],
        otherwise: str,
    ) -> None:
        """Answers when the microphone's state shows that the ear has obeyed, and not before."""
        if not self._house.tell_ear(order):
            reply(failed(command, NO_EAR))
            return
        if wanted(self._house.mic):
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

    def _level_on(self, command: Command, reply: Reply) -> None:
        if not self._house.tell_ear(LevelOn(command.seconds)):
            reply(failed(command, NO_EAR))
            return
        self._level_until = self._loop.time() + command.seconds
        reply(ok(command))

    def _restart(self, command: Command, reply: Reply) -> None:
        reply(ok(command) if self._house.tell_ear(Restart()) else failed(command, NO_EAR))

    def _model_check(self, command: Command, reply: Reply) -> None:
        why_not = self._house.releases.request_check()
        reply(failed(command, why_not) if why_not else ok(command))

    def _model_rollback(self, command: Command, reply: Reply) -> None:
        why_not = self._house.releases.roll_back("rolled back by a command")
        reply(failed(command, why_not) if why_not else ok(command))

    def _identify(self, command: Command, reply: Reply) -> None:
        log.warning("identify: this is %s (%s)", self._config.node.id, self._config.node.name or "no name")
        reply(ok(command))

    def _replay(self, command: Command, reply: Reply) -> None:
        if command.boot is None:
            reply(failed(command, "`boot` is missing"))
            return
        entries = self._house.replay(command.boot, command.from_seq, command.to_seq)
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
