"""A microphone that can only do 44.1 kHz in stereo, as many cheap ones: what comes out is 16 kHz mono.

No device here is so poor: sound servers convert by themselves. So PortAudio's interface is played by a whole stand-in.
"""

import time

import numpy as np
import pytest

from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.ear.capture import microphone
from edge.ear.capture.microphone import MicrophoneSource
from edge.ear.capture.source import BLOCK_S, SourceLostError
from edge.protocol import MicFormat

GIVEN, CHANNELS = 44_100, 2
TONE_HZ = 440.0


class Stream:
    def __init__(self) -> None:
        self._at = 0
        self.closed = False

    def read(self, frames: int, exception_on_overflow: bool) -> bytes:
        assert not exception_on_overflow  # PyAudio would close the stream
        time = (self._at + np.arange(frames)) / GIVEN
        self._at += frames
        left = 8000 * np.sin(2 * np.pi * TONE_HZ * time)
        return np.stack((left, 0.5 * left), axis=1).astype(np.int16).tobytes()

    def get_read_available(self) -> int:
        return 3 * GIVEN

    def close(self) -> None:
        self.closed = True


class Library:
    """The part of PyAudio that the ear uses."""

    paInt16 = 8

    def PyAudio(self) -> "Library":
        return self

    def get_device_count(self) -> int:
        return 1

    def get_default_input_device_info(self) -> dict[str, object]:
        return self.get_device_info_by_index(0)

    def get_device_info_by_index(self, index: int) -> dict[str, object]:
        return {
            "index": index, "name": "Poor (hw:1,0)", "maxInputChannels": CHANNELS, "defaultSampleRate": float(GIVEN),
        }  # fmt: skip

    def is_format_supported(self, rate: int, input_channels: int, **_: object) -> bool:
        if (rate, input_channels) != (GIVEN, CHANNELS):
            raise ValueError("Invalid sample rate", -9997)
        return True

    def open(self, *, rate: int, channels: int, **_: object) -> Stream:
        assert (rate, channels) == (GIVEN, CHANNELS)
        return Stream()

    def terminate(self) -> None:
        pass


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> MicrophoneSource:
    monkeypatch.setattr(microphone, "portaudio", Library)
    return MicrophoneSource()


def sound_of(source: MicrophoneSource, number: int, count: int) -> list[Samples]:
    """So many blocks, read `count` at a time."""
    found: list[Samples] = []
    while len(found) < number:
        found += [block.samples for block in source.read(count)]
    return found[:number]


def test_it_is_converted_and_says_so(source: MicrophoneSource) -> None:
    assert source.format is None
    source.open()
    blocks = sound_of(source, 60, 1)
    # Three seconds wait to be read: the block is older than they are.
    assert time.monotonic() - source.read(1)[0].started == pytest.approx(3.032, abs=0.5)
    source.close()
    assert {(block.dtype.name, block.size) for block in blocks} == {("int16", BLOCK)}
    sound = np.concatenate(blocks)[BLOCK:].astype(float)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    assert abs(spectrum.argmax() * RATE / sound.size - TONE_HZ) < 2
    assert np.abs(sound).max() == pytest.approx(6000, rel=0.02)  # the mean of 8000 and 4000
    assert source.format == MicFormat(rate_hz=GIVEN, channels=CHANNELS)
    assert source.name.endswith("44100 Hz, 2 channels (mean), converted to 16000 Hz, 1 channel")


@pytest.mark.parametrize("count", [4, 8])
def test_several_blocks_at_once_are_the_same_bits(source: MicrophoneSource, count: int) -> None:
    source.open()
    one = sound_of(source, 60, 1)
    source.close()
    source.open()
    many = sound_of(source, 60, count)
    assert np.array_equal(np.concatenate(one), np.concatenate(many))
    blocks = source.read(count)
    steps = np.diff([block.started for block in blocks])
    assert len(blocks) > 1 and steps == pytest.approx(BLOCK_S, abs=1e-6)
    assert time.monotonic() - blocks[-1].started == pytest.approx(3.032, abs=0.5)
    source.close()


def test_a_device_that_delivers_less_is_lost_and_no_failure_of_ours(
    source: MicrophoneSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.open()
    whole = Stream.read
    monkeypatch.setattr(Stream, "read", lambda self, *a, **k: whole(self, *a, **k)[:-4])
    with pytest.raises(SourceLostError, match="less sound"):
        source.read(8)
