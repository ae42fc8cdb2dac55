"""What the link publishes, and when: `docs/mqtt.md` is the list for readers."""

from __future__ import annotations

import time
from typing import Final, Protocol, get_args
from urllib.parse import urlsplit

import msgspec

from edge import protocol
from edge.config.settings import Config
from edge.link.delivery import episodes
from edge.link.delivery.entry import Entry
from edge.protocol import (
    Health,
    Info,
    LastEvent,
    Level,
    LevelSignal,
    MicSignal,
    MicState,
    ModelInfo,
    ModelStatus,
    MutedBy,
    MuteReasons,
    Response,
    Speech,
    State,
    Topic,
    encode,
)
from edge.protocol.homeassistant_discovery import AnnouncedDevice, announcement, discovery_topic
from edge.util.timestamps import from_unix
from edge.util.version import VERSION

EVENT_EXPIRY_S: Final = 7 * 86_400
"""How long a broker keeps an event for a subscriber who is away (MQTT 5)."""
MOMENT_EXPIRY_S: Final = 60
"""What is true only now."""


class Send(Protocol):
    """The signature of `edge.mqtt.client.Client.publish`."""

    def __call__(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int | None:
        """Return the number of the message, None without a connection."""


class Publisher:
    """Publishes all messages of the device, and keeps the latest of those that are retained, to publish them again."""

    def __init__(self, config: Config, send: Send) -> None:
        self._config = config
        self._send = send
        self._mic = MicSignal("starting")
        self._ear: ModelInfo | None = None
        self._model: ModelStatus | None = None
        self._last_event: LastEvent | None = None
        self._speech = Speech(speaking=False, since=from_unix(time.time()))
        self._speech_is_news = False
        """Whether there was no connection when speech began or ended last."""
        self.episodes = episodes.EpisodeMessages(
            episodes.path_of(config), config.node.base_topic, config.node.id,
            lambda topic, episode: self._send(
                topic, encode(episode), qos=protocol.EPISODE.qos, expiry_s=EVENT_EXPIRY_S
            ),
        )  # fmt: skip
        """Publishes that episodes of agitation have started or ended."""

    @property
    def mic(self) -> MicState:
        """The last state of the microphone."""
        return self._mic.state

    def topic(self, leaf: Topic | str) -> str:
        """Return the full name of one of our topics."""
        return protocol.topic(self._config.node.base_topic, self._config.node.id, leaf)

    def publish_all(self) -> None:
        """Publish all that is retained, on every connection: a broker may have lost it."""
        self._announce()
        self._publish(protocol.INFO, self._info())
        self._publish(protocol.MUTED_BY, encode(MuteReasons(self._mic.muted_by)))
        self._publish(protocol.MIC, self._mic.state.encode())
        if self._model is not None:
            self._publish(protocol.MODEL, encode(self._model))
        self.publish_online()
        self.episodes.publish_waiting()

    def publish_online(self) -> None:
        """Publish that we are online."""
        self._publish(protocol.AVAILABILITY, b"online")

    def publish_offline(self) -> int | None:
        """Publish that we are offline before a clean stop, when a broker sends no will; returns the message's number.

        None without a connection.
        """
        return self._publish(protocol.AVAILABILITY, b"offline")

    def set_last_event(self, last: LastEvent, *, publish: bool = True) -> None:
        """Publish which event was the last one when that has changed, so that a lost tail is noticed."""
        changed, self._last_event = last != self._last_event, last
        if changed and publish:
            self._publish(protocol.INFO, self._info())

    def set_mic(self, mic: MicSignal) -> None:
        """Publish the state of the microphone, and why it is muted, where they have changed."""
        reasons = tuple(reason for reason in get_args(MutedBy) if reason in mic.muted_by)
        before, self._mic = self._mic, MicSignal(mic.state, reasons)
        if reasons != before.muted_by:
            self._publish(protocol.MUTED_BY, encode(MuteReasons(reasons)))
        if mic.state != before.state:
            self._publish(protocol.MIC, mic.state.encode())

    def set_ear(self, ear: ModelInfo) -> None:
        """Publish the description of the ear where it has changed."""
        if ear != self._ear:
            self._ear = ear
            self._publish(protocol.INFO, self._info())

    def set_speaking(self, speaking: bool) -> None:
        """Publish that speech begins or ends."""
        if speaking != self._speech.speaking:
            self._speech = Speech(speaking=speaking, since=from_unix(time.time()))
            self._speech_is_news = self._publish_speech(self._speech) is None

    def publish_speech_again(self) -> None:
        """Publish whether there is speech, for new subscribers; it is marked as no change where it is none."""
        speech = msgspec.structs.replace(self._speech, repeated=not self._speech_is_news)
        if self._publish_speech(speech) is not None:
            self._speech_is_news = False

    def set_model(self, status: ModelStatus) -> None:
        """Publish which model runs, and what happens to a new one."""
        self._model = status
        self._publish(protocol.MODEL, encode(status))

    def publish_state(self, state: State) -> None:
        """Publish the emotion of the room; retained where the configuration says so."""
        retain = self._config.state.retain
        self._send(
            self.topic(protocol.STATE),
            encode(state),
            retain=retain,
            expiry_s=None if retain else 2 * MOMENT_EXPIRY_S,
        )

    def publish_event(self, entry: Entry) -> int | None:
        """Publish an event; returns the number of the message, None without a connection."""
        return self._publish(protocol.EVENT, entry.payload, EVENT_EXPIRY_S)

    def publish_level(self, signal: LevelSignal) -> None:
        """Publish the present sound level."""
        self._publish(protocol.LEVEL, encode(Level(dbfs=signal.dbfs, speech=signal.speech)), 5)

    def publish_health(self, health: Health) -> None:
        """Publish the health of device, link and ear."""
        self._publish(protocol.HEALTH, encode(health), 2 * MOMENT_EXPIRY_S)

    def publish_response(self, verb: str, response: Response) -> None:
        """Publish the response to a command."""
        self._send(self.topic(f"resp/{verb}"), encode(response), expiry_s=MOMENT_EXPIRY_S)

    def _announce(self) -> None:
        ha = self._config.homeassistant
        if ha.discovery:
            name = discovery_topic(ha.prefix, self._config.node.id)
            self._send(name, announcement_of(self._config), retain=True)

    def _publish_speech(self, speech: Speech) -> int | None:
        return self._publish(protocol.SPEECH, encode(speech), MOMENT_EXPIRY_S)

    def _info(self) -> bytes:
        node = self._config.node
        info = Info(
            node=node.id,
            name=node.name or node.id,
            version=VERSION,
            ear=self._ear,
            last_event=self._last_event,
        )
        return encode(info)

    def _publish(self, topic: Topic, payload: bytes, expiry_s: int | None = None) -> int | None:
        return self._send(self.topic(topic), payload, qos=topic.qos, retain=topic.retain, expiry_s=expiry_s)


def announcement_of(config: Config) -> bytes:
    """Return what is announced to Home Assistant, the largest message of a device."""
    node = config.node
    parts = urlsplit(config.updates.url)
    about = AnnouncedDevice(
        base_topic=node.base_topic,
        id=node.id,
        name=node.name,
        updates=bool(config.updates.url),
        hub_url=f"{parts.scheme}://{parts.netloc}/" if parts.netloc else "",
    )
    return announcement(about)
