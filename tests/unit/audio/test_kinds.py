"""What people have: every kind of file is decoded, or refused in one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.audio import files
from edge.audio.files import RATE, AudioFileError
from tests.support.audio.kinds import (
    AMPLITUDE,
    FAULTY,
    ORDINARY,
    REFUSED,
    Kind,
    check_tone,
    ds64,
    encoded,
    wav,
)
from tests.support.audio.odd_headers import CUT_OFF, ODD_HEADERS, rifx


def names(kinds: list[Kind]) -> list[object]:
    return [pytest.param(kind, id=kind.name) for kind in kinds]


@pytest.mark.parametrize("kind", names(ORDINARY + FAULTY + ODD_HEADERS))
def test_the_sound_of_a_file_is_read(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    check_tone(files.load(path))


@pytest.mark.parametrize("kind", names(CUT_OFF))
def test_what_is_left_of_a_recording_that_was_cut_off_is_read(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    samples = files.load(path)
    assert 0.4 * RATE < samples.size < RATE
    middle = samples[1000 : 1000 + 10 * RATE // 44].astype(float)  # 100 periods
    assert np.sqrt(np.mean(middle**2)) / 32768 == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.06)


def share(path: Path) -> float:
    with files.AudioFile(path) as file:
        return file.share


@pytest.mark.parametrize("kind", names(ORDINARY + FAULTY + ODD_HEADERS))
def test_a_whole_file_is_not_taken_for_one_that_was_cut_off(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    # Its header says 281 s.
    assert share(path) == (1.0 if kind.name != "too-large.wav" else pytest.approx(32_000 / 9_000_000))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.wav", wav),
        ("a.wav", lambda: wav(rate=48_000, channels=2)),
        ("big-endian.wav", lambda: rifx(32_000)),
        ("a.flac", lambda: encoded("FLAC", "PCM_16")),
        ("a.aiff", lambda: encoded("AIFF", "PCM_16")),
        ("a.au", lambda: encoded("AU", "PCM_16")),
        ("a.caf", lambda: encoded("CAF", "PCM_16")),
        ("a.w64", lambda: encoded("W64", "PCM_16")),
        ("a.rf64", lambda: encoded("RF64", "PCM_16")),
        (
            "bw64.wav",
            lambda: wav(first=ds64(32_000), magic=b"BW64", data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF),
        ),
    ],
)
def test_a_file_that_was_cut_off_knows_how_much_is_there(
    tmp_path: Path, name: str, data: Callable[[], bytes]
) -> None:
    path, whole = tmp_path / name, data()
    for part in (0.4, 0.8):
        path.write_bytes(whole[: int(part * len(whole))])
        there = files.load(path).size / RATE
        assert share(path) == pytest.approx(there, abs=0.01)
        # In FLAC bytes are not in proportion to samples; CAF has 4 KiB of room for what comes later.
        if not name.endswith(("flac", "caf")):
            assert share(path) == pytest.approx(part, abs=0.01)
    path.write_bytes(whole)
    assert share(path) == 1.0


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0])
def test_a_short_recording_without_a_size_is_read_to_its_end(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "short.wav"
    path.write_bytes(wav(data_size=0)[: 44 + 2 * int(seconds * RATE)])
    assert files.load(path).size == int(seconds * RATE)


@pytest.mark.parametrize("kind", names([kind for kind in REFUSED if not kind.external]))
def test_a_file_without_sound_is_refused_in_one_line(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    with pytest.raises(AudioFileError, match=kind.refused) as raised:
        files.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_there_are_sixty_kinds() -> None:
    assert len({kind.name for kind in ORDINARY + FAULTY}) >= 60
