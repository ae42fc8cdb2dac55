"""What people have: every kind of file is decoded, or refused in one line that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.audio import files
from edge.audio.files import RATE, AudioFileError
from tests.support.audio.kinds import AMPLITUDE, FAULTY, ORDINARY, REFUSED, Kind, check_tone, wav
from tests.support.audio.odd_headers import CUT_OFF, ODD_HEADERS


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
