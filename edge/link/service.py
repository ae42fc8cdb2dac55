"""The link as a whole: intake, outbox, publisher, commands and the connection, on one event loop.

All state belongs to the loop's thread. The connection's threads only post their events to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.config import Config
from edge.contract import (
    AVAILABILITY,
    Ack,
    Command,
    EarHealth,
    EventReport,
    Health,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    MicState,
    Mute,
    Response,
    Restart,
    Unmute,
    Upward,
    topic,
)
from edge.link.commands import Action, Commands, Reply, failed, ok
from edge.link.health import clock_synced, rss_mb, temperature_c
from edge.link.intake import Intake
from edge.link.journal import Journal
from edge.link.listener import Listener
from edge.link.mqtt import Broker
from edge.link.outbox import Outbox
from edge.link.publisher import Publisher
from edge.link.session import BrokerEvent, Down, Incoming, Taken, Up, Will
from edge.link.spool import Spool
from edge.notify import notify

log = logging.getLogger(__name__)

HEALTH_S: Final = 60.0
TICK_S: Final = 1.0
BUSY_TICK_S: Final = 0.25
EAR_GRACE_S: Final = 15.0
"""How long the microphone is `starting` before a missing ear means `lost`."""
CONFIRM_S: Final = 5.0
"""How long the ear may take to do as it is told."""
FAREWELL_S: Final = 1.5


class Link:
    """Made and run inside a running event loop; `run` returns after `stop`."""

    def __init__(self, config: Config, listener: Listener) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        node = config.node
        self._broker = Broker(
            config,
            Will(topic(node.base_topic, node.id, AVAILABILITY), b"offline"),
            [topic(node.base_topic, node.id, "cmd/+")],
            self._post,
        )
        self._publisher = Publisher(config, self._broker.publish)
        journal = Journal(Path(config.runtime.socket).parent / f"{node.id}.journal", time.time)
        spool = Spool(
            state_dir(config) / f"{node.id}.spool",
            config.runtime.spool_events,
            config.runtime.spool_days * 86_400,
            time.time,
            first_n=journal.last_n + 1,
        )
        self._outbox = Outbox(
            spool,
            journal,
            self._publisher.event,
            lambda event_id: self._tell_ear(Ack(event_id)),
            self._loop.time,
        )
        self._intake = Intake(listener.socket, self, self._loop)
        self._commands = Commands(self._actions(), self._publisher.answer, clock_synced)
        self._stopping = asyncio.Event()
        self._farewell: int | None = None
        self._farewell_taken = asyncio.Event()
        self._started = self._loop.time()
        self._connections = 0
        self._ear_health: EarHealth | None = None
        self._level_until = 0.0
        self._expected: list[tuple[Callable[[MicState], bool], Callable[[], None]]] = []

    async def run(self) -> None:
        """Serves until `stop`; then says farewell and leaves nothing behind but what waits on disk."""
        self._broker.start()
        grace = self._loop.call_later(EAR_GRACE_S, self._miss_the_ear)
        health_at = self._loop.time() + HEALTH_S
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BUSY_TICK_S if self._outbox.busy else TICK_S)
            self._outbox.tick()
            notify("WATCHDOG=1")
            if self._loop.time() >= health_at:
                health_at = self._loop.time() + HEALTH_S
                self._publisher.health(self._health())
        grace.cancel()
        await self._leave()

    def stop(self) -> None:
        """Asks `run` to end."""
        self._stopping.set()

    # --- what the ear tells (intake.Ear) ---

    def ear_connected(self) -> None:
        """It tells what it runs and how the microphone is by itself."""
        if self._level_until > self._loop.time():
            self._intake.send(LevelOn(int(self._level_until - self._loop.time()) + 1))

    def ear_gone(self) -> None:
        """Nobody hears any more."""
        self._ear_health = None
        self._publisher.mic_is("lost")

    def ear_says(self, message: Upward) -> None:
        """A checked message."""
        match message:
            case EventReport(event):
                self._outbox.accept(event)
            case MicSignal(state):
                self._mic_is(state)
            case LevelSignal():
                if self._loop.time() < self._level_until:
                    self._publisher.level(message)
            case InfoReport(info):
                self._publisher.ear_is(info)
            case HealthReport(health):
                self._ear_health = health

    def _miss_the_ear(self) -> None:
        if not self._intake.connected:
            log.warning("no ear has connected to %s: is `roomtone ear` running?", self._config.runtime.socket)
            self._publisher.mic_is("lost")

    def _mic_is(self, state: MicState) -> None:
        self._publisher.mic_is(state)
        for expected in [e for e in self._expected if e[0](state)]:
            self._expected.remove(expected)
            expected[1]()

    # --- what the broker tells ---

    def _post(self, event: BrokerEvent) -> None:
        # The loop may be closed already when the process is about to end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._broker_says, event)

    def _broker_says(self, event: BrokerEvent) -> None:
        match event:
            case Up(session_present, version):
                self._connections += 1
                log.info("connected to %s with MQTT %s", self._config.mqtt.host, version)
                self._publisher.birth()
                self._publisher.health(self._health())
                self._outbox.connected(session_present)
            case Down():
                self._outbox.disconnected()
            case Taken(mid, code):
                if mid == self._farewell:
                    self._farewell_taken.set()
                else:
                    self._outbox.answered(mid, code)
            case Incoming(name, payload, retain, queued):
                self._commands.handle(name.rpartition("/")[2], payload, retain, queued)

    # --- commands ---

    def _actions(self) -> dict[str, Action]:
        return {
            "mute": self._mute,
            "unmute": self._unmute,
            "level_on": self._level_on,
            "restart": self._restart,
            "identify": self._identify,
            "replay": self._replay,
        }

    def _mute(self, command: Command, reply: Reply) -> None:
        self._order(Mute(), command, reply, lambda state: state == "muted", "the ear has not muted in time")

    def _unmute(self, command: Command, reply: Reply) -> None:
        self._order(
            Unmute(),
            command,
            reply,
            lambda state: state != "muted",
            "still muted: it was muted at the device, unmute it there",
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
        if not self._tell_ear(order):
            reply(failed(command, "no ear is connected"))
            return
        if wanted(self._publisher.mic):
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
        if not self._tell_ear(LevelOn(command.seconds)):
            reply(failed(command, "no ear is connected"))
            return
        self._level_until = self._loop.time() + command.seconds
        reply(ok(command))

    def _restart(self, command: Command, reply: Reply) -> None:
        reply(ok(command) if self._tell_ear(Restart()) else failed(command, "no ear is connected"))

    def _identify(self, command: Command, reply: Reply) -> None:
        log.warning("identify: this is %s (%s)", self._config.node.id, self._config.node.name or "no name")
        reply(ok(command))

    def _replay(self, command: Command, reply: Reply) -> None:
        if command.boot is None:
            reply(failed(command, "`boot` is missing"))
            return
        entries = self._outbox.replay(command.boot, command.from_seq, command.to_seq)
        if not entries:
            reply(failed(command, "none of these events is kept any more"))
            return
        reply(
            Response(transaction=command.transaction, ok=True, events=len(entries), first_seq=entries[0].seq)
        )

    # --- the rest ---

    def _tell_ear(self, order: Ack | Mute | Unmute | LevelOn | Restart) -> bool:
        return self._intake.send(order)

    def _health(self) -> Health:
        return Health(
            clock="synced" if clock_synced() else "unsynced",
            uptime_s=int(self._loop.time() - self._started),
            spool=self._outbox.waiting,
            drops=self._outbox.drops,
            reconnects=max(0, self._connections - 1),
            rejected=self._intake.rejected,
            link_rss_mb=rss_mb(),
            temperature_c=temperature_c(),
            ear=self._ear_health,
        )

    async def _leave(self) -> None:
        notify("STOPPING=1")
        self._intake.close()
        self._listener.close()
        self._outbox.tick()
        self._farewell = self._publisher.farewell()
        if self._farewell is not None:
            try:
                await asyncio.wait_for(self._farewell_taken.wait(), FAREWELL_S)
            except TimeoutError:
                log.warning("the broker has not taken our farewell; its will says the same")
        await asyncio.to_thread(self._broker.stop)
        self._outbox.close()


def state_dir(config: Config) -> Path:
    """Where events wait on disk."""
    # systemd passes a list, separated by colons, when the unit has several.
    given = config.runtime.state_dir or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else Path(config.runtime.socket).parent
