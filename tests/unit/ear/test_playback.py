import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge.audio.segmenter import BLOCK
from edge.config.settings import Audio
from edge.ear.capture.playback import LEAD_S, NOISE_RMS, PlaybackSource
from edge.ear.capture.source import BLOCK_S, Block, SourceEndedError, SourceLostError
from edge.util.errors import UserError
from tests.support.log_codes import codes

sf = pytest.importorskip("soundfile")
LEAD = round(LEAD_S / BLOCK_S)


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without processes: also where ffmpeg is installed."""
    monkeypatch.setattr("edge.audio.ffmpeg.available", lambda: False)


def record(path: Path, value: int, blocks: float = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.full(int(blocks * BLOCK), value, np.int16), 16_000, subtype="PCM_16")


def room(folder: Path, *, speed: float = 100.0, loop: bool = False, gap_s: float = 0.32) -> PlaybackSource:
    audio = Audio(source="playback", playback_dir=str(folder), speed=speed, loop=loop, gap_s=gap_s)
    return PlaybackSource(audio, threading.Event())


def play(source: PlaybackSource, limit: int = 10_000, count: int = 1) -> list[Block]:
    source.open()
    blocks = []
    for _ in range(limit):
        try:
            blocks += source.read(count)
        except SourceEndedError:
            break
    return blocks


def test_recordings_are_played_in_order_with_faint_noise_between(tmp_path: Path) -> None:
    record(tmp_path / "b.wav", 2000)
    record(tmp_path / "a" / "x.flac", 1000)
    values = [int(block.samples[0]) for block in play(room(tmp_path))]
    assert values[LEAD : LEAD + 4] == [1000] * 4
    assert values[LEAD + 14 : LEAD + 18] == [2000] * 4
    assert len(values) == LEAD + 4 + 10 + 4 + 10


def test_between_recordings_there_is_noise_and_no_digital_silence(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000)
    for block in play(room(tmp_path)):
        assert block.samples.any()
    (lead, *_) = play(room(tmp_path))
    assert np.std(lead.samples) == pytest.approx(NOISE_RMS, rel=0.25)


def test_a_recording_that_ends_within_a_block_is_filled_up_with_the_room(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000, blocks=1.5)
    last = play(room(tmp_path))[LEAD + 1].samples
    assert (last[: BLOCK // 2] == 1000).all()
    assert last[BLOCK // 2 :].any()
    assert np.abs(last[BLOCK // 2 :]).max() < 100


def test_it_is_paced_by_time_and_speed(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000, blocks=100)
    for speed in (8.0, 32.0):
        source = room(tmp_path, speed=speed)
        begun = time.monotonic()
        blocks = play(source)
        took = time.monotonic() - begun
        assert took == pytest.approx(len(blocks) * BLOCK_S / speed, rel=0.3, abs=0.05)
        starts = [block.started for block in blocks]
        assert starts == sorted(starts)


def test_with_loop_it_begins_again(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000)
    blocks = play(room(tmp_path, loop=True), limit=LEAD + 3 * 14)
    assert sum(int(block.samples[0]) == 1000 for block in blocks) == 12


def test_a_recording_that_cannot_be_read_is_left_out_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path / "b.wav", 2000)
    (tmp_path / "a.wav").write_text("no sound")
    blocks = play(room(tmp_path, loop=True), limit=LEAD + 3 * 14)
    assert sum(int(block.samples[0]) == 2000 for block in blocks) == 12
    assert codes(caplog) == ["recording_skipped"]


def test_a_room_without_any_readable_recording_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(UserError, match="none of the 1 recordings"):
        room(tmp_path)


def test_a_room_whose_recordings_vanish_is_lost_and_stays_so_until_they_are_back(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000)
    source = room(tmp_path, loop=True)
    (tmp_path / "a.wav").unlink()
    for _ in range(2):
        with pytest.raises(SourceLostError, match="none of the 1 recordings"):
            play(source)
    record(tmp_path / "a.wav", 1000)
    assert any(int(block.samples[0]) == 1000 for block in play(source, limit=LEAD + 4))


def test_an_empty_or_missing_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no audio files in it; put some there"):
        room(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        room(tmp_path / "none")


def test_a_folder_without_recordings_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    for name in ("notes.txt", "b.pdf", "c.pdf", "d.pdf", ".hidden.wav"):
        (tmp_path / name).write_text("x")
    with pytest.raises(
        UserError, match=r"no audio files in it, only b\.pdf, c\.pdf, d\.pdf and 1 more; put some"
    ):
        room(tmp_path)


def test_without_ffmpeg_what_needs_it_is_skipped_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path / "a.wav", 1000)
    for name in ("b.m4a", "c.webm"):
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    source = room(tmp_path)
    assert source.name.endswith("(1 recordings)")
    assert sum(int(block.samples[0]) == 1000 for block in play(source)) == 4
    (record_,) = caplog.records
    assert codes(caplog) == ["recording_skipped"]
    assert "b.m4a, c.webm: decoded by ffmpeg, which is not installed: apt install" in record_.getMessage()


def test_without_ffmpeg_a_folder_of_what_needs_it_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(UserError, match=r"phone\.m4a: decoded by ffmpeg, .*: apt install ffmpeg"):
        room(tmp_path)


def test_it_goes_on_where_it_was_after_it_was_closed(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000, blocks=20)
    source = room(tmp_path)
    first = play(source, limit=LEAD + 5)
    source.close()
    rest = play(source)
    assert sum(int(block.samples[0]) == 1000 for block in first + rest) == 20


@pytest.mark.parametrize("count", [3, 8])
def test_several_blocks_at_once_are_the_same_as_one_by_one(tmp_path: Path, count: int) -> None:
    record(tmp_path / "a.wav", 1000, blocks=20.5)
    record(tmp_path / "b.wav", 2000)
    one, many = play(room(tmp_path)), play(room(tmp_path), count=count)
    assert np.array_equal(
        np.concatenate([block.samples for block in one]), np.concatenate([block.samples for block in many])
    )
    steps = np.diff([block.started for block in many])
    assert steps == pytest.approx(BLOCK_S / 100.0, abs=1e-6)


def test_several_blocks_come_when_the_last_of_them_was_played(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000, blocks=20)
    source = room(tmp_path, speed=2.0)
    source.open()
    begun = time.monotonic()
    blocks = source.read(8)
    assert len(blocks) == 8
    assert time.monotonic() - begun >= 8 * BLOCK_S / 2.0 - 0.001
    assert time.monotonic() - blocks[-1].started >= BLOCK_S / 2.0 - 0.001


def test_blocks_before_the_loss_come_first(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 1000)
    source = room(tmp_path)
    (tmp_path / "a.wav").unlink()
    source.open()
    assert len(source.read(LEAD + 8)) == LEAD
    with pytest.raises(SourceLostError, match="none of the 1 recordings"):
        source.read(8)
    source.close()
    source.open()
    assert len(source.read(8)) == 8
