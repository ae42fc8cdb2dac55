"""From blocks of sound to events: voice activity -> segments -> emotion. One thread, no input or output.

An event is a few rounded numbers; the sound it was made from is dropped before the next block is looked at.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from typing import Final, Protocol, cast

import numpy as np
from ulid import ULID

from edge.audio.level import (
    SILENCE_DBFS,
    NoiseFloor,
    clipped,
    dbfs,
    power,
)
from edge.audio.segmenter import BLOCK, Samples, Segmenter, Utterance
from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.ear.baseline_store import Quality
from edge.ear.capture.source import BLOCK_S, Block
from edge.ear.tally import Tally
from edge.inference.classifier import Result
from edge.protocol.messages import Event, EventType, LevelSignal, Probabilities
from edge.util.timestamps import from_unix

log = logging.getLogger(__name__)

LATENCIES: Final = 256
"""Of so many last utterances the median and the 95th percentile are told."""
STARTS: Final = 4096
"""Blocks whose time is remembered: 131 s, twice the longest utterance that can be configured."""


class Classify(Protocol):
    """What the pipeline needs of a classifier."""

    def classify(self, samples: Samples, speech_ms: int) -> Result:
        """The emotion of int16 samples `[n]` at 16 kHz, of which so much is speech."""


class Learn(Protocol):
    """Who learns from what was heard; it sees no sound."""

    def learn(self, result: Result, quality: Quality) -> None:
        """One utterance, after it was classified."""


class Pipeline:
    """Feed it every block in order; it belongs to one thread, and only `level` may be asked from others."""

    def __init__(
        self, config: Config, vad: Vad, classifier: Classify, model: str, learner: Learn | None = None
    ) -> None:
        self._vad = vad
        self._segmenter = Segmenter(config)
        self._offset = config.vad.offset
        self._classifier = classifier
        self._model = model
        self._learner = learner
        self._noise = NoiseFloor()
        self._starts: deque[float] = deque(maxlen=STARTS)
        self._level = LevelSignal(dbfs=SILENCE_DBFS, speech=False)
        self._smooth = 0.0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self.boot = secrets.token_hex(4)
        """Names this start of the ear."""
        self.tally = Tally()
        """What the model has said, without adaptation, since it runs."""
        self.frames = 0
        """Blocks that have passed the voice activity detector."""
        self.utterances = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._segmenter.speaking

    def swap(self, classifier: Classify, model: str, learner: Learn | None) -> None:
        """Another model, between two utterances: the next one is its first."""
        self._classifier, self._model, self._learner = classifier, model, learner
        self.tally = Tally()
        self._latencies.clear()

    def level(self) -> LevelSignal:
        """The level of the last half second, roughly, and whether somebody speaks."""
        return self._level

    def latency_ms(self, quantile: float) -> float:
        """Of the last utterances, from the end of speech being decided to the finished event; 0 before the first."""
        return round(float(np.quantile(self._latencies, quantile)), 1) if self._latencies else 0.0

    def feed(self, block: Block) -> list[Event]:
        """One block further; returns the events that end with it."""
        probability = self._vad.probability(block.samples)
        self.frames += 1
        self._starts.append(block.started)
        loudness = power(block.samples)
        self._smooth += 0.15 * (loudness - self._smooth)
        utterances = self._segmenter.push(block.samples, probability)
        if not self._segmenter.speaking and probability < self._offset:
            self._noise.add(loudness)
        self._level = LevelSignal(dbfs=round(dbfs(self._smooth), 1), speech=self._segmenter.speaking)
        return [self._event(utterance) for utterance in utterances]

    def finish(self) -> list[Event]:
        """The sound has ended, or goes on after a gap: closes an open utterance and forgets the past."""
        events = [self._event(utterance) for utterance in self._segmenter.flush()]
        self._vad.reset()
        return events

    def _event(self, utterance: Utterance) -> Event:
        decided = time.monotonic()
        result = self._classifier.classify(utterance.samples, utterance.duration_ms)
        speech = utterance.samples[utterance.speech]
        level = dbfs(power(speech))
        snr = self._noise.snr_db(speech, BLOCK)
        started = _utc(self._started(utterance))
        self.utterances += 1
        if self._learner is not None:
            self._learner.learn(result, Quality(snr, clipped(speech)))
        latency_ms = 1000 * (time.monotonic() - decided)
        self._latencies.append(latency_ms)
        self.tally.add(result, latency_ms)
        return Event(
            id=str(ULID()),
            boot=self.boot,
            seq=self.utterances,
            event_type=cast(EventType, result.event_type),
            confidence=_share(result.confidence),
            probabilities=Probabilities(**{label: _share(p) for label, p in result.probabilities.items()}),
            started_at=started,
            duration_ms=utterance.duration_ms,
            snr_db=round(snr, 1),
            level_dbfs=round(level, 1),
            model=self._model,
            latency_ms=round(latency_ms),
        )

    def _started(self, utterance: Utterance) -> float:
        age = self.frames - utterance.first_block
        if age <= len(self._starts):
            return self._starts[-age]
        return self._starts[0] - (age - len(self._starts)) * BLOCK_S


def _share(value: float) -> float:
    return min(1.0, max(0.0, round(float(value), 3)))


def _utc(monotonic: float) -> str:
    """A monotonic time as UTC by the clock of this moment: a clock that was set meanwhile sets all times right."""
    return from_unix(time.time() - (time.monotonic() - monotonic))
