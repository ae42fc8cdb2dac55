"""The link as a whole: intake, outbox, publisher, commands and the MQTT client, on one event loop.

All state belongs to the event loop's thread, which `run` is awaited in. The MQTT client has a thread of its own, the
only one that touches the broker's socket; its events are posted to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge.config.settings import Config
from edge.link.availability import OwnAvailability
from edge.link.command_handlers import CommandHandlers
from edge.link.commands import Commands
from edge.link.connection_options import client_options
from edge.link.delivery.entry import Entry
from edge.link.delivery.limited import LimitedPublisher
from edge.link.delivery.outbox import open_outbox
from edge.link.delivery.publisher import Publisher
from edge.link.health import temperature_c
from edge.link.homeassistant_restart import HomeAssistantStatus
from edge.link.ipc.intake import Intake
from edge.link.ipc.listener import Listener
from edge.link.microphone import MicrophoneState
from edge.link.mute_commands import MuteCommands
from edge.link.state import clock
from edge.link.state.directories import runtime_dir, state_dir
from edge.link.state.published_names import FormerNames
from edge.link.state.room import RoomState
from edge.link.utterances import Utterances
from edge.mqtt import certificate, reason_codes
from edge.mqtt.address import device_client_id, from_config
from edge.mqtt.client import Client
from edge.mqtt.events import Acknowledged, Connected, Disconnected, Message
from edge.mqtt.events import Event as ClientEvent
from edge.protocol import (
    AVAILABILITY,
    EarCommand,
    EarHealth,
    EarMessage,
    Health,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    MicState,
    PredictionCountsReport,
    SpeechSignal,
    UtteranceReport,
    announce_topic,
    topic,
)
from edge.releases.manager import ReleaseManager
from edge.util import system_clock
from edge.util.notify import notify
from edge.util.process_stats import rss_mb

if TYPE_CHECKING:
    from edge.link.metrics import DeviceMetrics

log = logging.getLogger(__name__)

HEALTH_S: Final = 60.0
TICK_S: Final = 1.0
BUSY_TICK_S: Final = 0.25
STUCK_S: Final = 180.0
"""Longer than any name server or broker keeps the MQTT client's thread waiting: then it is stuck."""
ANNOUNCED_S: Final = 3.0
"""How long Home Assistant may take to subscribe to what was announced to it."""
OFFLINE_S: Final = 1.5
"""How long a clean stop waits until the broker has acknowledged that we are offline."""


class Link:
    """The link process: connects ear, outbox, commands and MQTT client.

    Made and run inside a running event loop; `run` returns after `stop`.
    """

    def __init__(self, config: Config, listener: Listener) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._homeassistant = HomeAssistantStatus(config, self.publish_all, self._loop)
        self._announce = announce_topic(config.node.base_topic) if config.updates.url else ""
        self._commands_topic = topic(config.node.base_topic, config.node.id, "cmd/")
        self._event_topic = topic(config.node.base_topic, config.node.id, "event")
        self._online_topic = topic(config.node.base_topic, config.node.id, AVAILABILITY)
        self._identity = reason_codes.Identity(from_config(config), device_client_id(config.node.id))
        self._client = Client(self._identity.address, client_options(config), self._post)
        self._publisher = Publisher(config, self._client.publish)
        self._former_names = FormerNames(config, lambda name: self._client.publish(name, b"", retain=True))
        self._availability = OwnAvailability(
            self._online_topic, self._publisher.publish_online, self._is_online, self._loop.time
        )
        self._utterances = Utterances(config, self.send_to_ear)
        self._outbox = open_outbox(
            config, self._publisher.publish_event, self._utterances.acknowledge, self._loop.time
        )
        self._clock = clock.Clock(
            runtime_dir(config) / f"{config.node.id}.clock", self._outbox, self._outbox.next_n
        )
        self._intake = Intake(listener.socket, self, self._loop, speed=config.audio.real_speed)
        self._releases = ReleaseManager(config, self.send_to_ear, self._publisher.set_model, self._loop)
        self._mute = MuteCommands(self.send_to_ear, self._loop, state_dir(config) / f"{config.node.id}.mute")
        self._microphone = MicrophoneState(self._on_mic, self._loop, config.runtime.socket)
        self._handlers = CommandHandlers(config, self, self._loop, self._mute)
        self._commands = Commands(self._handlers.table, self._publisher.publish_response, system_clock.synced)
        self._room = RoomState(
            config.state.half_life_s, self._publisher.publish_state, self._publisher.episodes, self._loop.time
        )
        self._limited = LimitedPublisher(self._publisher, self._loop)
        self._stopping = asyncio.Event()
        self._offline: int | None = None
        self._offline_acknowledged = asyncio.Event()
        self._started = self._loop.time()
        self._connections = 0
        self._refusals: set[tuple[int, bool]] = set()
        self._connected = False
        self._ear_health: EarHealth | None = None

    async def run(self) -> None:
        """Serve until `stop`; then publish that the device is offline, and leave only what waits on disk."""
        self._client.start()
        self._releases.start()
        if warning := certificate.warning(self._config.mqtt.cert_file, time.time()):
            log.warning("[certificate_expires] %s", warning)
        health_at = self._loop.time() + HEALTH_S
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), BUSY_TICK_S if self._outbox.busy else TICK_S)
            self._clock.watch()
            self._outbox.tick()
            self._update_room()
            self._releases.tick()
            if self._client.stuck_s() < STUCK_S:
                notify("WATCHDOG=1")
            if self._loop.time() >= health_at:
                health_at = self._loop.time() + HEALTH_S
                self._publisher.publish_health(self._health())
                self._publisher.set_last_event(self._utterances.last_event)
        self._microphone.close()
        await self._shut_down()

    def metrics(self) -> DeviceMetrics:
        """Return the current metrics for Prometheus."""
        from edge.link.metrics import DeviceMetrics

        return DeviceMetrics(self._config.node.id, self._health(), self.mic, self._connected)

    def stop(self) -> None:
        """Make `run` disconnect from the broker and return."""
        self._stopping.set()

    # --- messages of the ear (intake.EarObserver) ---

    def on_ear_connected(self) -> None:
        """The ear sends what it runs, and the state of the microphone, by itself."""
        self._microphone.on_ear_connected()
        self._mute.on_ear_connected()
        if seconds := self._handlers.level_seconds():
            self.send_to_ear(LevelOn(seconds))

    def on_ear_disconnected(self) -> None:
        """An ear that is restarted comes back at once; without one there is no microphone."""
        self._ear_health = None
        self._utterances.on_ear_disconnected()
        self._releases.on_ear_disconnected()
        self._handlers.on_ear_disconnected()
        self._limited.end_speech()
        self._microphone.on_ear_disconnected()

    def on_ear_message(self, message: EarMessage) -> None:
        """Handle a message of the ear that has passed validation."""
        match message:
            case UtteranceReport():
                event = self._utterances.event(message)
                if event is None:
                    self._intake.reject()
                elif self._outbox.accept(self._clock.mark(event)):
                    self._room.add(event)
                    self._update_room()
            case MicSignal():
                self._microphone.on_mic(message)
            case SpeechSignal(speaking):
                self._limited.set_speaking(speaking)
            case LevelSignal():
                if self._handlers.level_seconds():
                    self._limited.publish_level(message)
            case InfoReport():
                info = self._utterances.on_ear_info(message)
                self._limited.set_info(info)
                self._room.set_model(info.model)
                self._update_room()
                self._releases.on_ear_info(info)
            case HealthReport(health):
                self._ear_health = health
                self._releases.on_ear_health(health)
            case PredictionCountsReport():
                self._releases.on_counts(message)

    def _on_mic(self, mic: MicSignal) -> None:
        self._limited.set_mic(mic)
        self._mute.on_mic(mic)

    # --- events of the MQTT client ---

    def _post(self, event: ClientEvent) -> None:
        # Called by the client's thread. The loop may be closed already when the process is about to end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_client_event, event)

    def _on_client_event(self, event: ClientEvent) -> None:
        match event:
            case Connected(session_present):
                self._on_connected(session_present)
            case Disconnected():
                self._connected = False
                self._publisher.episodes.disconnected()
                self._outbox.disconnected()
            case Acknowledged():
                self._on_acknowledged(event)
            case Message():
                self._on_message(event)

    def _on_connected(self, session_present: bool) -> None:
        self._connections += 1
        self._refusals.clear()
        self._availability.connected()
        self._connected = True
        self._publisher.episodes.connected()
        self._former_names.connected()
        self.publish_all()
        self._outbox.connected(session_present)

    def _on_acknowledged(self, event: Acknowledged) -> None:
        code, number = event.code, event.number
        refusal = (code, event.topic == self._event_topic)
        if code >= reason_codes.FAILURE and refusal not in self._refusals:
            # Once for each connection and reason; again for the events, without which all else is of little use.
            self._refusals.add(refusal)
            who = replace(self._identity, address=self._client.address)
            reason = reason_codes.of_code(code, event.name, who, event.topic)
            log.warning("[%s] a message is refused: %s", reason.code, reason.text)
        if number == self._offline:
            self._offline_acknowledged.set()
        elif not (self._former_names.acknowledged(number) or self._publisher.episodes.acknowledged(number)):
            self._outbox.on_acknowledged(number, code)

    def _on_message(self, message: Message) -> None:
        """Handle a message by its full topic; one of a subscription that is not ours any more has no effect."""
        name = message.topic
        if name == self._homeassistant.topic:
            self._homeassistant.handle(message.payload)
        elif name == self._online_topic:
            self._availability.handle(message.payload)
        elif name == self._announce:
            self._releases.on_announcement(message.payload)
        elif name.startswith(self._commands_topic):
            verb = name.removeprefix(self._commands_topic)
            self._commands.handle(verb, message.payload, message.retain, message.queued)
        else:
            log.info("[unknown_topic] a message on %.100r is ignored", name)

    # --- what the command handlers use (command_handlers.LinkServices) ---

    @property
    def mic(self) -> MicState:
        """The last state of the microphone."""
        return self._microphone.state

    def send_to_ear(self, command: EarCommand) -> bool:
        """Send to the ear; False without one."""
        return self._intake.send(command)

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Send events once more; return them."""
        return self._outbox.replay(boot, from_seq, to_seq)

    @property
    def releases(self) -> ReleaseManager:
        """What manages the device's model releases."""
        return self._releases

    # --- the rest ---

    def _is_online(self) -> bool:
        return self._connected and not self._stopping.is_set()

    def publish_all(self) -> None:
        """Publish all that a new subscriber should know."""
        self._publisher.set_last_event(self._utterances.last_event, publish=False)
        self._publisher.publish_all()
        self._publish_unretained()
        if self._config.homeassistant.discovery:
            # Home Assistant subscribes to the topics of an announcement after it: what is not retained comes again.
            self._loop.call_later(ANNOUNCED_S, self._publish_unretained)

    def _publish_unretained(self) -> None:
        self._publisher.publish_speech_again()
        self._publisher.publish_health(self._health())
        self._update_room(anew=True)

    def _update_room(self, *, anew: bool = False) -> None:
        if self.mic == "lost":
            self._room.expire(anew=anew)
        else:
            self._room.update(anew=anew)

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

    async def _shut_down(self) -> None:
        notify("STOPPING=1")
        self._intake.close()
        self._listener.close()
        self._outbox.tick()
        await self._releases.close()
        self._publisher.set_last_event(self._utterances.last_event)
        self._room.end()
        self._offline = self._publisher.publish_offline()
        if self._offline is not None:
            try:
                await asyncio.wait_for(self._offline_acknowledged.wait(), OFFLINE_S)
            except TimeoutError:
                log.warning(
                    "[offline_unacknowledged] the broker does not answer; its last will says the same"
                )
        await asyncio.to_thread(self._client.stop)
        self._outbox.close()
