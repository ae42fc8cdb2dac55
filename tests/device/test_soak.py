"""An hour of speech at twenty times its speed through the ear: nothing piles up, and nothing is missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.audio import files as audiofile
from edge.audio.segmenter import RATE, Segmenter
from edge.audio.vad import make_vad
from edge.config.load import load
from edge.config.settings import Audio
from edge.ear.capture.playback import PlaybackSource
from edge.ear.capture.source import SourceEndedError
from edge.protocol import Ack, UtteranceReport
from tests.conftest import SPEECH
from tests.support.ear import Ear, Link

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

HOUR_S = 3600.0
SPEED = 20.0
GAP_S = 1.0
WARM = 0.25
"""This share of the time memory may still grow: caches fill."""
MOST_MB_AN_HOUR = 2.0


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Recordings of several people, again and again, until it is an hour."""
    voices = sorted(SPEECH.glob("librivox/*.wav"))
    if not voices:
        pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
    lengths = {voice: audiofile.load(voice).size / RATE + GAP_S for voice in voices}
    folder = tmp_path / "room"
    folder.mkdir()
    total, number = 0.0, 0
    while total < HOUR_S:
        voice = voices[number % len(voices)]
        (folder / f"{number:04d}.wav").symlink_to(voice)
        total += lengths[voice]
        number += 1
    return folder


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(tmp_path / "link.sock")
    yield link
    link.close()


def test_an_hour_at_twenty_times_the_speed(tmp_path: Path, room: Path, link: Link, artefacts: Path) -> None:
    settings = {
        "audio.source": "playback", "audio.playback_dir": room, "audio.loop": False,
        "audio.gap_s": GAP_S, "audio.speed": SPEED,
    }  # fmt: skip
    ear = Ear(tmp_path, settings)
    expected: list[int] = []
    counter = threading.Thread(target=lambda: expected.extend(count(room)))
    heard: list[int] = []
    samples: list[tuple[float, float, int]] = []
    try:
        link.accept()
        counter.start()
        begun = due = time.monotonic()
        while True:
            if (now := time.monotonic()) >= due:
                due = now + 1.0
                samples.append((now - begun, rss_mb(ear), open_files(ear)))
            try:
                message = link.receive(1.0)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if isinstance(message, UtteranceReport):
                heard.append(message.values.length * 32)
                link.order(Ack(message.n))
        assert ear.wait() == 0
    finally:
        ear.kill()
    counter.join()
    seconds, megabytes, files = (np.array(column) for column in zip(*samples, strict=True))
    played = seconds < HOUR_S / SPEED  # after that only the events go out that the rate limit has held back
    late = played & (seconds > WARM * HOUR_S / SPEED)
    slope = np.polyfit(seconds[late] * SPEED / HOUR_S, megabytes[late], 1)[0]
    print(f"{len(heard)} utterances, {megabytes[late].mean():.1f} MB, {slope:+.2f} MB an hour of sound")
    draw(artefacts / "soak.png", seconds, megabytes, files)
    assert heard == expected
    assert len(heard) > 200
    assert not [line for line in ear.lines if "overrun" in line or "dropped" in line]
    assert slope < MOST_MB_AN_HOUR
    assert np.ptp(files[late]) <= 1  # a recording of the room is open, or none is


def count(room: Path) -> Iterator[int]:
    """What detector and segmenter find when nobody hurries them: the length of each utterance in ms."""
    config = load()
    audio = Audio(source="playback", playback_dir=str(room), loop=False, gap_s=GAP_S, speed=100)
    source, vad, segmenter = PlaybackSource(audio, threading.Event()), make_vad(config), Segmenter(config)
    source.open()
    while True:
        try:
            blocks = source.read(8)
        except SourceEndedError:
            yield from (utterance.duration_ms for utterance in segmenter.flush())
            return
        for block in blocks:
            for utterance in segmenter.push(block.samples, vad.probability(block.samples)):
                yield utterance.duration_ms


def rss_mb(ear: Ear) -> float:
    text = Path(f"/proc/{ear.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("VmRSS"))


def open_files(ear: Ear) -> int:
    return len(list(Path(f"/proc/{ear.process.pid}/fd").iterdir()))


def draw(path: Path, seconds: np.ndarray, megabytes: np.ndarray, files: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(seconds, megabytes, label="resident memory (MB)")
    axes.plot(seconds, files, label="open files")
    axes.set(xlabel="seconds", ylim=(0, None), title="The ear through an hour of speech, 20 times as fast")
    axes.legend()
    figure.savefig(path)
