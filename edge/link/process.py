"""The link as a whole: intake, outbox, publisher, commands and the connection, on one event loop.

All state belongs to the loop's thread. The connection's threads only post their events to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.config.settings import Config
from edge.link.command_handlers import Actions
from edge.link.commands import Commands
from edge.link.delivery.entry import Entry
from edge.link.delivery.journal import Journal
from edge.link.delivery.outbox import Outbox
from edge.link.delivery.publisher import Publisher
from edge.link.delivery.spool import Spool
from edge.link.health import temperature_c
from edge.link.ipc.intake import Intake
from edge.link.ipc.listener import Listener
from edge.link.state import clock, published_names
from edge.link.state.directories import made_state_dir, runtime_dir, state_dir
from edge.link.state.smoothing import Mood
from edge.mqtt import certificate, reason_codes
from edge.mqtt.address import device_client_id, from_config
from edge.mqtt.client import Client
from edge.mqtt.events import Acknowledged, Connected, Disconnected, Message
from edge.mqtt.events import Event as ClientEvent
from edge.mqtt.session import ClientOptions, Subscription, Will
from edge.protocol import homeassistant
from edge.protocol.messages import (
    AVAILABILITY,
    Ack,
    EarCommand,
    EarHealth,
    EarMessage,
    EventReport,
    Health,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    MicState,
    PredictionCountsReport,
    State,
    announce_topic,
    topic,
)
from edge.releases.manager import ReleaseManager
from edge.util import system_clock
from edge.util.memory import rss_mb
from edge.util.notify import notify

if TYPE_CHECKING:
    from edge.link.metrics import DeviceMetrics

log = logging.getLogger(__name__)

HEALTH_S: Final = 60.0
TICK_S: Final = 1.0
BUSY_TICK_S: Final = 0.25
STUCK_S: Final = 180.0
"""Longer than any name server or broker keeps the thread of the connection waiting: then it is stuck."""
EAR_GRACE_S: Final = 15.0
"""How long the microphone is `starting` before a missing ear means `lost`."""
STATE_S: Final = 60.0
STATE_STEP: Final = 0.1
"""A change of the confidence that is worth a message."""
SESSION_EXPIRY_S: Final = 3600
"""How long the broker keeps commands for a device that is away; older ones would be refused anyway."""
HA_WAIT_S: Final = (2.0, 10.0)
FAREWELL_S: Final = 1.5


class Link:
    """Made and run inside a running event loop; `run` returns after `stop`."""

    def __init__(self, config: Config, listener: Listener) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        node = config.node
        ha = config.homeassistant
        self._ha_status = f"{ha.prefix}/status" if ha.discovery else ""
        self._announce = announce_topic(node.base_topic)
        wanted = [
            topic(node.base_topic, node.id, "cmd/+"),
            *([self._announce] if config.updates.url else []),
            *([self._ha_status] if self._ha_status else []),
        ]
        self._identity = reason_codes.Identity(from_config(config), device_client_id(node.id))
        options = ClientOptions(
            client_id=self._identity.client_id,
            subscriptions=tuple(Subscription(name, retained=False) for name in wanted),
            will=Will(topic(node.base_topic, node.id, AVAILABILITY), b"offline"),
            session_expiry_s=SESSION_EXPIRY_S,
        )
        self._broker = Client(self._identity.address, options, self._post)
        self._publisher = Publisher(config, self._broker.publish)
        beside = runtime_dir(config)
        journal = Journal(beside / f"{node.id}.journal", time.time)
        spool = Spool(
            made_state_dir(config) / f"{node.id}.spool",
            config.runtime.spool_events,
            config.runtime.spool_days * 86_400,
            time.time,
            first_n=journal.last_n + 1,
        )
        self._outbox = Outbox(
            spool,
            journal,
            self._publisher.event,
            lambda event_id: self.tell_ear(Ack(event_id)),
            self._loop.time,
        )
        self._clock = clock.Clock(beside / f"{node.id}.clock", self._outbox, self._outbox.next_n)
        self._intake = Intake(listener.socket, self, self._loop)
        self._releases = ReleaseManager(config, self.tell_ear, self._publisher.model, self._loop)
        self._actions = Actions(config, self, self._loop)
        self._commands = Commands(self._actions.table, self._publisher.answer, system_clock.synced)
        self._mood = Mood(config.state.half_life_s)
        self._stopping = asyncio.Event()
        self._farewell: int | None = None
        self._farewell_taken = asyncio.Event()
        self._started = self._loop.time()
        self._connections = 0
        self._refusals: set[int] = set()
        self._connected = False
        self._ear_health: EarHealth | None = None
        self._state_at = -math.inf
        self._state_told: State | None = None

    async def run(self) -> None:
        """Serves until `stop`; then says farewell and leaves nothing behind but what waits on disk."""
        self._broker.start()
        self._releases.start()
        if warning := certificate.warning(self._config.mqtt.cert_file, time.time()):
            log.warning("%s", warning)
        grace = self._loop.call_later(EAR_GRACE_S, self._miss_the_ear)
        health_at = self._loop.time() + HEALTH_S
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BUSY_TICK_S if self._outbox.busy else TICK_S)
            self._clock.watch()
            self._outbox.tick()
            self._tell_state()
            self._releases.tick()
            if self._broker.stuck_s() < STUCK_S:
                notify("WATCHDOG=1")
            if self._loop.time() >= health_at:
                health_at = self._loop.time() + HEALTH_S
                self._publisher.health(self._health())
        grace.cancel()
        await self._leave()

    def metrics(self) -> DeviceMetrics:
        """Return the current metrics for Prometheus."""
        from edge.link.metrics import DeviceMetrics

        return DeviceMetrics(self._config.node.id, self._health(), self.mic, self._connected)

    def stop(self) -> None:
        """Asks `run` to end."""
        self._stopping.set()

    # --- what the ear tells (intake.Ear) ---

    def ear_connected(self) -> None:
        """It tells what it runs and how the microphone is by itself."""
        if seconds := self._actions.level_seconds():
            self.tell_ear(LevelOn(seconds))

    def ear_gone(self) -> None:
        """Nobody hears any more."""
        self._ear_health = None
        self._releases.on_ear_disconnected()
        self._publisher.mic_is("lost")

    def ear_says(self, message: EarMessage) -> None:
        """A checked message."""
        match message:
            case EventReport(event):
                if self._outbox.accept(self._clock.mark(event)):
                    self._mood.hear(event, self._loop.time())
                    self._tell_state()
            case MicSignal(state):
                self._mic_is(state)
            case LevelSignal():
                if self._actions.level_seconds():
                    self._publisher.level(message)
            case InfoReport(info):
                self._publisher.ear_is(info)
                self._releases.on_ear_info(info)
            case HealthReport(health):
                self._ear_health = health
                self._releases.on_ear_health(health)
            case PredictionCountsReport():
                self._releases.on_counts(message)

    def _miss_the_ear(self) -> None:
        if not self._intake.connected:
            log.warning("no ear has connected to %s: is `roomtone ear` running?", self._config.runtime.socket)
            self._publisher.mic_is("lost")

    def _mic_is(self, state: MicState) -> None:
        self._publisher.mic_is(state)
        self._actions.mic_is(state)

    # --- what the broker tells ---

    def _post(self, event: ClientEvent) -> None:
        # The loop may be closed already when the process is about to end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._broker_says, event)

    def _broker_says(self, event: ClientEvent) -> None:
        match event:
            case Connected(session_present, version):
                self._connections += 1
                self._refusals.clear()
                self._connected = True
                log.info("connected to %s with MQTT %s", self._config.mqtt.host, version)
                self._tell_all()
                self._publisher.health(self._health())
                self._tidy()
                self._outbox.connected(session_present)
            case Disconnected():
                self._connected = False
                self._outbox.disconnected()
            case Acknowledged(number, code, name):
                if code >= reason_codes.FAILURE:
                    self._say_refused(code, name)
                if number == self._farewell:
                    self._farewell_taken.set()
                else:
                    self._outbox.answered(number, code)
            case Message(name, payload) if name == self._ha_status:
                if homeassistant.wakes(payload):
                    # Not at once: all devices hear it, and Home Assistant has enough to do when it starts.
                    self._loop.call_later(random.uniform(*HA_WAIT_S), self._tell_all)
            case Message(name, payload) if name == self._announce:
                self._releases.on_announcement(payload)
            case Message(name, payload, retain, queued):
                self._commands.handle(name.rpartition("/")[2], payload, retain, queued)

    def _say_refused(self, code: int, name: str) -> None:
        """A message that the broker does not take, once for each connection and reason."""
        if code not in self._refusals:
            self._refusals.add(code)
            reason = reason_codes.of_code(code, name, self._identity)
            log.warning("a message is refused [%s]: %s", reason.code, reason.text)

    # --- what the actions need (actions.House) ---

    @property
    def mic(self) -> MicState:
        """The state of the microphone as last told."""
        return self._publisher.mic

    def tell_ear(self, order: EarCommand) -> bool:
        """Sends to the ear; False without one."""
        return self._intake.send(order)

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Sends events once more; returns them."""
        return self._outbox.replay(boot, from_seq, to_seq)

    @property
    def releases(self) -> ReleaseManager:
        """Keeps the model up to date."""
        return self._releases

    # --- the rest ---

    def _tell_all(self) -> None:
        """All that a newcomer should know."""
        self._publisher.birth()
        self._state_told = None
        self._tell_state()

    def _tell_state(self) -> None:
        """The emotion of the room, when it has changed and once a minute, while somebody listens to the room."""
        now = self._loop.time()
        state = self._mood.state(now, time.time())
        if state is None or self.mic != "ok":
            return
        told = self._state_told
        changed = (
            told is None
            or told.emotion != state.emotion
            or abs(told.confidence - state.confidence) >= STATE_STEP
        )
        if changed or now - self._state_at >= STATE_S:
            self._state_told, self._state_at = state, now
            self._publisher.state(state)

    def _tidy(self) -> None:
        """Takes away what is retained under the names that this device had before."""
        path = state_dir(self._config) / f"{Path(self._config.runtime.socket).stem}.identity"
        if not path.parent.is_dir():
            return  # That it cannot be made was said at the start.
        now = published_names.of(self._config)
        old = published_names.left_over(path, now)
        for name in sorted(old):
            log.info("removing what is retained on %s: this device has another name now", name)
            self._broker.publish(name, b"", retain=True)
        published_names.remember(path, now)

    def _health(self) -> Health:
        own = certificate.read(self._config.mqtt.cert_file)
        return Health(
            clock="synced" if system_clock.synced() else "unsynced",
            uptime_s=int(self._loop.time() - self._started),
            spool=self._outbox.waiting,
            drops=self._outbox.drops,
            reconnects=max(0, self._connections - 1),
            rejected=self._intake.rejected,
            link_rss_mb=round(rss_mb(), 1),
            temperature_c=temperature_c(),
            certificate_expires=None if own is None else certificate.timestamp(own),
            ear=self._ear_health,
        )

    async def _leave(self) -> None:
        notify("STOPPING=1")
        self._intake.close()
        self._listener.close()
        self._outbox.tick()
        await self._releases.close()
        self._farewell = self._publisher.farewell()
        if self._farewell is not None:
            try:
                await asyncio.wait_for(self._farewell_taken.wait(), FAREWELL_S)
            except TimeoutError:
                log.warning("the broker has not taken our farewell; its will says the same")
        await asyncio.to_thread(self._broker.stop)
        self._outbox.close()
