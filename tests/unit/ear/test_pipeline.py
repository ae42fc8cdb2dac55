import time
from typing import Literal

import numpy as np
import pytest

from edge.audio.filters import DcBlocker
from edge.audio.level import dbfs, sound_power
from edge.audio.segmenter import BLOCK, Samples
from edge.config.load import load
from edge.ear.baseline_store import Quality
from edge.ear.capture.source import BLOCK_S, Block
from edge.ear.pipeline import Pipeline
from edge.inference.classifier import Result
from edge.protocol import (
    LABELS,
    MAX_REPORT_BYTES,
    UtteranceReport,
    UtteranceValues,
    decode_ear_message,
    encode,
)

RNG = np.random.default_rng(5)


class LoudIsSpeech:
    """A detector that needs no network: what is louder than -50 dBFS is speech."""

    engine: Literal["silero"] = "silero"

    def __init__(self) -> None:
        self.resets = 0

    def probability(self, block: Samples) -> float:
        return 0.9 if dbfs(sound_power(block)) > -50 else 0.1

    def probabilities(self, blocks: Samples) -> list[float]:
        return [self.probability(block) for block in blocks]

    def reset(self) -> None:
        self.resets += 1


class Listener:
    """A classifier that finds everything a little angry, and notes what it was given."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []
        self.lengths: list[int] = []

    def classify(self, samples: Samples, speech_ms: int) -> Result:
        self.heard.append(samples)
        self.lengths.append(speech_ms)
        shares = dict.fromkeys(LABELS, 1 / 9)
        shares["angry"] = 1 / 3
        return Result("angry", 1 / 3, shares, np.zeros(4, np.float32), np.zeros(7), enough_speech=True)


def sound(level_dbfs: float, blocks: int) -> list[Samples]:
    noise = RNG.normal(0.0, 32768 * 10 ** (level_dbfs / 20), blocks * BLOCK)
    return list(np.clip(np.rint(noise), -32768, 32767).astype(np.int16).reshape(-1, BLOCK))


def feed(pipeline: Pipeline, blocks: list[Samples], begun: float | None = None) -> list[UtteranceValues]:
    start = time.monotonic() - len(blocks) * BLOCK_S if begun is None else begun
    return [e for i, b in enumerate(blocks) for e in pipeline.feed([Block(b, start + i * BLOCK_S)])]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def pipeline(listener: Listener) -> Pipeline:
    return Pipeline(load(), LoudIsSpeech(), listener, "base-1.2.0")


def test_each_utterance_becomes_one_event_that_fits_the_contract(pipeline: Pipeline) -> None:
    speech = sound(-70, 20) + sound(-25, 40) + sound(-70, 40)
    events = feed(pipeline, speech * 3)
    assert len(events) == pipeline.utterances == 3
    for event in events:
        data = encode(UtteranceReport(1, event))
        assert len(data) <= MAX_REPORT_BYTES
        assert decode_ear_message(data) == UtteranceReport(1, event)
        assert event.shares == (11, 11, 11, 34, 11, 11, 11)


def test_blocks_together_give_what_they_give_one_by_one(pipeline: Pipeline, listener: Listener) -> None:
    blocks = (sound(-70, 21) + sound(-25, 40) + sound(-70, 41)) * 2
    single = feed(pipeline, blocks, begun=100.0)
    other = Listener()
    batched = Pipeline(load(), LoudIsSpeech(), other, "base-1.2.0")
    found = [
        event
        for at in range(0, len(blocks), 5)
        for event in batched.feed(
            [Block(b, 100.0 + i * BLOCK_S) for i, b in enumerate(blocks[at : at + 5], start=at)]
        )
    ]
    assert [(e.started, e.length, e.level_dbfs, e.snr_db) for e in found] == [
        (e.started, e.length, e.level_dbfs, e.snr_db) for e in single
    ]
    assert len(found) == 2 and batched.level() == pipeline.level()
    for first, second in zip(listener.heard, other.heard, strict=True):
        np.testing.assert_array_equal(first, second)


def test_length_level_and_distance_from_the_room_are_those_of_the_speech(pipeline: Pipeline) -> None:
    (event,) = feed(pipeline, sound(-70, 60) + sound(-25, 50) + sound(-70, 40))
    assert event.length == 50
    assert event.level_dbfs == pytest.approx(-25.0, abs=0.8)
    assert event.snr_db == pytest.approx(45.0, abs=1.2)


def test_a_door_that_slams_before_the_speech_is_not_the_room(pipeline: Pipeline) -> None:
    (event,) = feed(
        pipeline, sound(-70, 60) + sound(-52, 3) + sound(-70, 10) + sound(-25, 50) + sound(-70, 40)
    )
    assert event.snr_db == pytest.approx(45.0, abs=1.2)


def test_digital_silence_before_the_speech_gives_finite_numbers(pipeline: Pipeline) -> None:
    zeros = [np.zeros(BLOCK, np.int16)] * 30
    (event,) = feed(pipeline, zeros + sound(-25, 50) + zeros)
    assert decode_ear_message(encode(UtteranceReport(1, event))) == UtteranceReport(1, event)
    assert event.snr_db == pytest.approx(75.0, abs=1.5)


def test_the_time_is_that_of_the_onset(pipeline: Pipeline) -> None:
    begun = time.monotonic()
    (event,) = feed(pipeline, sound(-70, 50) + sound(-25, 50) + sound(-70, 40), begun)
    assert event.started * BLOCK_S == pytest.approx(begun + 50 * BLOCK_S, abs=0.1)


def test_the_time_is_right_for_speech_that_follows_a_cut(pipeline: Pipeline) -> None:
    begun = time.monotonic()
    first, second = feed(pipeline, sound(-70, 10) + sound(-25, 500) + sound(-70, 40), begun)
    assert second.started - first.started == 375
    assert first.length * 32 == 12_000


def test_the_end_of_the_sound_ends_an_utterance(pipeline: Pipeline, listener: Listener) -> None:
    assert feed(pipeline, sound(-70, 10) + sound(-25, 40)) == []
    assert pipeline.speaking
    (event,) = pipeline.finish()
    assert event.length == 40
    assert pipeline.finish() == []


def test_the_classifier_is_given_the_speech_with_its_surroundings_and_nothing_else(
    pipeline: Pipeline, listener: Listener
) -> None:
    speech = sound(-25, 40)
    before = sound(-70, 20)
    feed(pipeline, before + speech + sound(-70, 40))
    filtered = DcBlocker().process(np.concatenate(before + speech))
    (heard,) = listener.heard
    limits = load().segmenter
    roll, tail = limits.pre_roll_ms // 32, min(limits.pre_roll_ms, limits.hang_over_ms) // 32
    assert heard.size == (roll + 40 + tail) * BLOCK
    assert listener.lengths == [40 * 32]
    np.testing.assert_array_equal(heard[roll * BLOCK : (roll + 40) * BLOCK], filtered[20 * BLOCK :])


def with_disturbance(blocks: list[Samples], disturbance: np.ndarray) -> list[Samples]:
    whole = np.concatenate(blocks) + np.resize(disturbance, len(blocks) * BLOCK)
    return list(np.clip(np.rint(whole), -32768, 32767).astype(np.int16).reshape(-1, BLOCK))


SECOND = np.arange(16_000) / 16_000
DISTURBANCES = {
    "none": np.zeros(1),
    "an offset of 0.2": np.full(1, 0.2 * 32768),
    "a negative offset": np.full(1, -0.4 * 32768),
    "hum of 50 Hz": 0.1 * 32768 * np.sin(2 * np.pi * 50 * SECOND),
    "hum of 60 Hz": 0.05 * 32768 * np.sin(2 * np.pi * 60 * SECOND),
    "both": 0.1 * 32768 * (1 + np.sin(2 * np.pi * 50 * SECOND)),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_level_and_signal_to_noise_ratio_are_those_of_the_sound_alone(
    pipeline: Pipeline, disturbance: str
) -> None:
    blocks = sound(-60, 60) + sound(-25, 40) + sound(-60, 100)
    (event,) = feed(pipeline, with_disturbance(blocks, DISTURBANCES[disturbance]))
    assert event.level_dbfs == pytest.approx(-25, abs=1.5)
    assert event.snr_db == pytest.approx(35, abs=3)
    assert pipeline.level().dbfs == pytest.approx(-60, abs=4)


def test_what_was_disturbed_updates_the_baseline_all_the_same(listener: Listener) -> None:
    qualities: list[Quality] = []

    class Recorder:
        def update(self, result: Result, quality: Quality) -> None:
            qualities.append(quality)

    pipeline = Pipeline(load(), LoudIsSpeech(), listener, "base-1.2.0", Recorder())
    blocks = sound(-60, 60) + sound(-25, 40) + sound(-60, 40)
    feed(pipeline, with_disturbance(blocks, DISTURBANCES["both"]))
    assert [quality.good for quality in qualities] == [True]


def test_the_level_follows_the_room(pipeline: Pipeline) -> None:
    feed(pipeline, sound(-70, 60))
    assert pipeline.level().dbfs == pytest.approx(-70, abs=2)
    assert not pipeline.level().speech
    feed(pipeline, sound(-25, 30))
    assert pipeline.level().dbfs == pytest.approx(-25, abs=2)
    assert pipeline.level().speech
