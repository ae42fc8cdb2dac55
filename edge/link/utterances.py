"""From a report of the ear to the event that is published, and back to the number that the ear gets acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from edge.config.settings import Config
from edge.link.delivery.canonical import EventBuilder, Timeline
from edge.link.state.directories import runtime_dir
from edge.link.state.known_models import UNKNOWN, KnownModels
from edge.link.state.numbering import Numbering
from edge.protocol import (
    UTTERANCES_PER_SECOND,
    Ack,
    EarCommand,
    Event,
    InfoReport,
    LastEvent,
    ModelInfo,
    UtteranceReport,
)

UNNAMED: Final = f"{UNKNOWN.name}-{UNKNOWN.version}"


class Utterances:
    """Knows the session and the model of the ear that is connected. `send` passes a command to the ear."""

    def __init__(self, config: Config, send: Callable[[EarCommand], object]) -> None:
        self._send = send
        self._numbering = Numbering(runtime_dir(config) / f"{config.node.id}.numbers")
        self._models = KnownModels(config)
        self._builder = EventBuilder(Timeline(config.audio.real_speed))
        self._rate = UTTERANCES_PER_SECOND * config.audio.real_speed
        self._accepted_at = 0.0
        """Time of the last utterance; at first the start of the machine."""
        self._model: str | None = None
        self._waiting: dict[str, int] = {}
        """Id of an event to the number by which the ear knows it."""

    @property
    def last_event(self) -> LastEvent:
        """The last event that was numbered."""
        return self._numbering.last

    def on_ear_info(self, report: InfoReport) -> ModelInfo:
        """Note what the connected ear is, and return it in the words of the link."""
        self._numbering.begin(report.session, report.first)
        described = self._models.describe(report.info)
        self._model = described.model
        return described

    def on_ear_disconnected(self) -> None:
        """The next ear has to say first who it is."""
        self._model = None
        self._waiting.clear()

    def event(self, report: UtteranceReport) -> Event | None:
        """Return the event of an utterance; None for one that cannot be numbered, which is to be rejected."""
        if self._model is None:
            return None
        now = time.monotonic()
        number = self._numbering.assign(report.n, int((now - self._accepted_at) * self._rate))
        if number is None:
            return None
        if not number.repeated:
            self._accepted_at = now
        self._waiting[number.id] = report.n
        return self._builder.build(number, report.values, self._model)

    def acknowledge(self, event_id: str) -> None:
        """The event is at the broker or on disk: the ear may drop it."""
        n = self._waiting.pop(event_id, None)
        if n is not None:
            self._send(Ack(n))
