"""What a recording's classification is given: the speech, without the faults of the microphone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.audio.recordings import RecordingClassifier, RecordingResult
from edge.config.load import load
from edge.inference.classifier import Result
from edge.protocol import LABELS

sf = pytest.importorskip("soundfile")
RATE = 16_000
Samples = NDArray[np.int16]


class LoudIsSpeech:
    """A detector that needs no network; an offset does not count as loud."""

    engine: Literal["silero"] = "silero"

    def probability(self, block: Samples) -> float:
        return 0.9 if block.astype(float).std() > 300 else 0.1

    def probabilities(self, blocks: Samples) -> list[float]:
        return [self.probability(block) for block in blocks]

    def reset(self) -> None: ...


class Listener:
    """A classifier that notes what it was given."""

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(full_name="base-1.0.0")
        self.heard: list[Samples] = []

    def classify(self, samples: Samples, speech_ms: int) -> Result:
        self.heard.append(samples)
        shares = dict.fromkeys(LABELS, 1 / 7)
        return Result("neutral", 1 / 7, shares, np.zeros(4, np.float32), np.zeros(7), enough_speech=False)


@pytest.mark.parametrize("offset", [0.0, 0.2, -0.6])
def test_an_offset_of_the_microphone_is_removed_before_anything_listens(
    tmp_path: Path, offset: float
) -> None:
    burst = np.random.default_rng(1).normal(0, 0.05, 2 * RATE)
    quiet = np.random.default_rng(2).normal(0, 0.0005, RATE)
    sf.write(tmp_path / "a.wav", np.concatenate((quiet, burst, quiet)) + offset, RATE, subtype="PCM_16")
    listener = Listener()
    classifier = RecordingClassifier(load(), LoudIsSpeech(), listener)  # type: ignore[arg-type]
    result = classifier.classify(str(tmp_path / "a.wav"), segments=True)
    assert result.segments is not None and len(result.segments) == 1
    heard = np.concatenate(listener.heard).astype(float)
    assert abs(heard.mean()) < 20
    assert heard.std() == pytest.approx(0.05 * 32768, rel=0.2)


def classified(path: Path, sound: NDArray[np.float64], *, bytes_kept: int | None = None) -> RecordingResult:
    sf.write(path, sound, RATE, subtype="PCM_16")
    if bytes_kept is not None:
        path.write_bytes(path.read_bytes()[:bytes_kept])
    classifier = RecordingClassifier(load(), LoudIsSpeech(), Listener())  # type: ignore[arg-type]
    return classifier.classify(str(path), segments=False)


def test_a_recording_that_was_cut_off_says_how_long_it_should_be(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, RATE)
    result = classified(tmp_path / "a.wav", noise, bytes_kept=44 + RATE // 2)
    assert (result.duration_s, result.declared_s) == (0.25, 1.0)
    assert classified(tmp_path / "b.wav", noise).declared_s is None


@pytest.mark.parametrize(("level", "reason"), [(0.0005, "no_speech"), (0.05, "too_short")])
def test_uncertain_has_a_reason(tmp_path: Path, level: float, reason: str) -> None:
    result = classified(tmp_path / "a.wav", np.random.default_rng(1).normal(0, level, RATE // 3))
    assert (result.event_type, result.uncertain) == ("uncertain", reason)
