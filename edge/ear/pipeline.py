"""From audio blocks to results: voice activity detection, segmentation, classification. One thread, no I/O.

A result is a few rounded numbers; the samples that it was made from are dropped before the next block.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from edge.audio.filters import DcBlocker
from edge.audio.level import (
    NoiseFloor,
    block_powers,
    clipped,
    dbfs,
    sound_power,
)
from edge.audio.quantiles import quantile
from edge.audio.segmenter import BLOCK, Samples, Segmenter, Utterance
from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.ear.baseline_store import Quality
from edge.ear.capture.source import BLOCK_S, Block
from edge.ear.prediction_counts import PredictionCounts
from edge.ear.uplink.utterance_values import utterance_values
from edge.inference.classifier import Result
from edge.protocol import BLOCK_MS, LevelSignal, UtteranceValues

log = logging.getLogger(__name__)

LATENCIES: Final = 256
"""Utterances over which the latency quantiles are computed."""
STARTS: Final = 4096
"""Blocks whose start time is kept: 131 s, twice the longest utterance that can be configured."""


class UtteranceClassifier(Protocol):
    """The interface of a classifier."""

    def classify(self, samples: Samples, speech_ms: int) -> Result:
        """Classify int16 samples `[n]` at 16 kHz, of which `speech_ms` are speech."""


class ResultListener(Protocol):
    """The interface of an observer of results, such as the baseline; it gets no samples."""

    def update(self, result: Result, quality: Quality) -> None:
        """Called once for each utterance, after its classification."""


class Pipeline:
    """Turns blocks, fed in order, into the results of utterances. Not thread-safe, except for `level`."""

    def __init__(
        self,
        config: Config,
        vad: Vad,
        classifier: UtteranceClassifier,
        model: str,
        listener: ResultListener | None = None,
    ) -> None:
        self._vad = vad
        self._segmenter = Segmenter(config)
        self._offset = config.vad.offset
        self._classifier = classifier
        self._model = model
        self._listener = listener
        self._noise = NoiseFloor()
        self._dc_blocker = DcBlocker()
        self._starts: deque[float] = deque(maxlen=STARTS)
        self._level = LevelSignal(dbfs=-100, speech=False)
        self._smooth = 0.0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self.prediction_counts = PredictionCounts()
        """Predictions of the model, without the baseline, since it was loaded."""
        self.frames = 0
        """Blocks processed so far."""
        self.utterances = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._segmenter.speaking

    def set_model(self, classifier: UtteranceClassifier, model: str, listener: ResultListener | None) -> None:
        """Replace the model between two utterances."""
        self._classifier, self._model, self._listener = classifier, model, listener
        self.prediction_counts = PredictionCounts()
        self._latencies.clear()

    def level(self) -> LevelSignal:
        """The level of about the last half second, and whether there is speech."""
        return self._level

    def latency_ms(self, share: float) -> int:
        """Quantile of the recent latencies (end of speech detected to result), in ms; 0 without any."""
        return round(quantile(self._latencies, share)) if self._latencies else 0

    def feed(self, blocks: Sequence[Block]) -> list[UtteranceValues]:
        """Process blocks; returns the results of the utterances that they complete.

        Several at once cost less than one after the other: they are filtered and measured together.
        """
        samples = self._dc_blocker.process(np.concatenate([block.samples for block in blocks]))
        rows = samples.reshape(-1, BLOCK)
        results: list[UtteranceValues] = []
        measured = zip(blocks, rows, block_powers(rows).tolist(), self._vad.probabilities(rows), strict=True)
        for block, row, loudness, probability in measured:
            self.frames += 1
            self._starts.append(block.started)
            self._smooth += 0.15 * (loudness - self._smooth)
            utterances = self._segmenter.push(row, probability)
            if not self._segmenter.speaking and probability < self._offset:
                self._noise.add(loudness)
            results += [self._classify(utterance) for utterance in utterances]
        self._level = LevelSignal(
            dbfs=max(-100, min(0, round(dbfs(self._smooth)))), speech=self._segmenter.speaking
        )
        return results

    def finish(self) -> list[UtteranceValues]:
        """End an open utterance at a gap or at the end of the sound, and reset the detector."""
        values = [self._classify(utterance) for utterance in self._segmenter.flush()]
        self._vad.reset()
        self._dc_blocker.reset()
        return values

    def _classify(self, utterance: Utterance) -> UtteranceValues:
        decided = time.monotonic()
        result = self._classifier.classify(utterance.samples, utterance.duration_ms)
        speech = utterance.samples[utterance.speech]
        snr = self._noise.snr_db(speech, BLOCK)
        self.utterances += 1
        if self._listener is not None:
            self._listener.update(result, Quality(snr, clipped(speech)))
        latency_ms = 1000 * (time.monotonic() - decided)
        self._latencies.append(latency_ms)
        self.prediction_counts.add(result, latency_ms)
        return utterance_values(
            result,
            snr_db=snr,
            level_dbfs=dbfs(sound_power(speech)),
            started=self._started(utterance),
            length=utterance.duration_ms // BLOCK_MS,
            latency_ms=latency_ms,
        )

    def _started(self, utterance: Utterance) -> float:
        age = self.frames - utterance.first_block
        if age <= len(self._starts):
            return self._starts[-age]
        return self._starts[0] - (age - len(self._starts)) * BLOCK_S
