"""What the commands do: most are passed to the ear, and answered when its microphone shows the effect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from edge.config.settings import Config
from edge.link.commands import Handler, Reply, failed, ok
from edge.link.delivery.entry import Entry
from edge.link.mute_commands import NO_EAR, MuteCommands
from edge.protocol import (
    Command,
    EarCommand,
    LevelOn,
    Response,
    Restart,
)
from edge.releases.manager import ReleaseManager

log = logging.getLogger(__name__)


RESTART_S: Final = 4.0
"""How long the ear may take to end; a subscriber waits five seconds for the response."""
NOT_RESTARTED: Final = (
    "the ear does not restart: it does not run as a service, so nothing would start it again"
)


class LinkServices(Protocol):
    """What the command handlers use of the link."""

    def send_to_ear(self, command: EarCommand) -> bool:
        """Send a command to the ear; returns False while no ear is connected."""

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Publish events once more, and return them."""

    def publish_all(self) -> None:
        """Publish all that a new subscriber should know."""

    @property
    def releases(self) -> ReleaseManager:
        """What manages the device's model releases."""


class CommandHandlers:
    """Carries out the commands that subscribers send over MQTT; `table` maps verbs to handlers."""

    def __init__(
        self, config: Config, link: LinkServices, loop: asyncio.AbstractEventLoop, mute: MuteCommands
    ) -> None:
        self._config = config
        self._link = link
        self._loop = loop
        self._level_until = 0.0
        self._on_ear_gone: list[Callable[[], None]] = []
        self.table: dict[str, Handler] = {
            "mute": mute.mute,
            "unmute": mute.unmute,
            "level_on": self._handle_level_on,
            "restart": self._handle_restart,
            "identify": self._handle_identify,
            "replay": self._handle_replay,
            "republish": self._handle_republish,
            "model_check": self._handle_model_check,
            "model_rollback": self._handle_model_rollback,
        }

    def level_seconds(self) -> int:
        """Return for how long the level is still wanted; 0: not at all."""
        return max(0, round(self._level_until - self._loop.time()))

    def _handle_level_on(self, command: Command, reply: Reply) -> None:
        if not self._link.send_to_ear(LevelOn(command.seconds)):
            reply(failed(command, NO_EAR))
            return
        self._level_until = self._loop.time() + command.seconds
        reply(ok(command))

    def _handle_restart(self, command: Command, reply: Reply) -> None:
        if not self._link.send_to_ear(Restart()):
            reply(failed(command, NO_EAR))
            return
        timer = self._loop.call_later(RESTART_S, lambda: finish(failed(command, NOT_RESTARTED)))

        def finish(response: Response) -> None:
            timer.cancel()
            self._on_ear_gone.remove(gone)
            reply(response)

        def gone() -> None:
            finish(ok(command))

        self._on_ear_gone.append(gone)

    def on_ear_disconnected(self) -> None:
        """Answer the restarts that waited for the ear to end."""
        for call in list(self._on_ear_gone):
            call()

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

    def _handle_republish(self, command: Command, reply: Reply) -> None:
        self._link.publish_all()
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
