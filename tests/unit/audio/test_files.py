import io
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio import files
from edge.audio.files import AudioFileError

sf = pytest.importorskip("soundfile")
RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE, hz: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


def test_16_bit_at_16_khz_comes_through_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32768, 200_000).astype(np.int16)
    sf.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    sf.write(tmp_path / "a.flac", samples, RATE, subtype="PCM_16")
    (tmp_path / "a.raw").write_bytes(samples.astype("<i2").tobytes())
    for name in ("a.wav", "a.flac", "a.raw"):
        np.testing.assert_array_equal(files.load(tmp_path / name), samples)


@pytest.mark.parametrize(
    "gains", [(1.0, -1.0), (0.0, 1.0), (1.0, 0.0), (1.0, -0.5), (0.0, 0.0, 1.0, -1.0, 0.0, 0.0)]
)
def test_no_arrangement_of_channels_silences_a_file(tmp_path: Path, gains: tuple[float, ...]) -> None:
    signal = tone(3.0, RATE)
    sf.write(tmp_path / "a.wav", np.stack([gain * signal for gain in gains], axis=1), RATE, subtype="PCM_16")
    level = np.abs(files.load(tmp_path / "a.wav").astype(float)).max()
    assert level > 0.7 * 32768 * np.abs(signal).max()


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("u8.wav", "PCM_U8", 16_000, 1),
        ("s24.wav", "PCM_24", 44_100, 2),
        ("s32.wav", "PCM_32", 48_000, 1),
        ("float.wav", "FLOAT", 22_050, 1),
        ("double.wav", "DOUBLE", 8_000, 1),
        ("fast.wav", "PCM_24", 96_000, 8),
        ("faster.flac", "PCM_24", 192_000, 2),
        ("alaw.wav", "ALAW", 8_000, 1),
        ("a.opus", "OPUS", 48_000, 2),
        ("a.ogg", "VORBIS", 44_100, 1),
        ("a.mp3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_every_common_kind_gives_the_same_tone_at_16_khz_mono(
    tmp_path: Path, name: str, subtype: str, rate: int, channels: int
) -> None:
    kind = {"format": "OGG"} if name.endswith(".opus") else {}
    signal = np.repeat(tone(1.0, rate)[:, None], channels, axis=1)
    sf.write(tmp_path / name, signal, rate, subtype=subtype, **kind)
    samples = files.load(tmp_path / name)
    assert samples.dtype == np.int16
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(RATE, abs=0.08 * RATE)  # MP3 and Opus pad
    middle = samples[4000:-4000]
    assert loudest_hz(middle) == pytest.approx(440.0, abs=3.0)
    assert np.sqrt(np.mean(middle.astype(float) ** 2)) / 32768 == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_the_channels_are_averaged(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.array([[0.5, 0.0], [0.25, -0.25]] * 800), RATE, subtype="PCM_16")
    np.testing.assert_array_equal(files.load(tmp_path / "a.wav")[:2], [8192, 0])


def test_louder_than_full_scale_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.array([1.5, -1.5] * 800), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(files.load(tmp_path / "a.wav")[:2], [32767, -32768])


def test_one_sample_is_read(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.array([0.5]), RATE, subtype="PCM_16")
    np.testing.assert_array_equal(files.load(tmp_path / "a.wav"), [16384])


def wav_bytes(seconds: float = 1.0) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((tone(seconds) * 32767).astype("<i2").tobytes())
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"These are words and no sound.\n" * 40, "not a supported audio file"),
        (wav_bytes()[:20], "not a supported audio file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (wav_bytes()[:44], "contains no samples"),
    ],
    ids=["empty", "text", "half a header", "pointer", "header only"],
)
def test_what_is_not_audio_gives_one_clear_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=words) as raised:
        files.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_recording_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(1.0)[: 44 + 16_001])
    assert len(files.load(path)) == 8000


def test_a_damaged_flac_gives_one_clear_line_or_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    sf.write(path, np.random.default_rng(2).uniform(-0.5, 0.5, RATE * 5), RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = b"\x55" * 20_000
    path.write_bytes(data)
    with pytest.raises(AudioFileError, match="damaged or cut off"):
        files.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float) -> None:
    samples = tone()
    samples[4000] = value
    sf.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioFileError, match="NaN or infinity"):
        files.load(tmp_path / "a.wav")


def test_floats_that_were_meant_as_integers_are_refused(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", tone(amplitude=20_000.0), RATE, subtype="FLOAT")
    with pytest.raises(AudioFileError, match="full scale is 1"):
        files.load(tmp_path / "a.wav")


def test_folders_pipes_and_missing_files_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "none.wav", "no such file"),
        (tmp_path / "pipe.wav", "not a regular file"),
    ):
        with pytest.raises(AudioFileError, match=words):
            files.load(path)


def test_a_file_that_is_too_long_to_load_is_refused(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", tone(3.0), RATE)
    with pytest.raises(AudioFileError, match="longer than 2 s"):
        files.load(tmp_path / "a.wav", max_seconds=2)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound" * 10)
    (tmp_path / "good.wav").write_bytes(wav_bytes())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        files.load(tmp_path / "good.wav")
        with pytest.raises(AudioFileError):
            files.load(tmp_path / "bad.wav")
        stream = files.read(tmp_path / "good.wav")
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_audio_is_found_by_name_in_order_and_hidden_files_are_not(tmp_path: Path) -> None:
    for name in ("b.wav", "a/2.FLAC", "a/1.opus", ".hidden/x.wav", "a/.x.wav", "notes.txt", "c.raw"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in files.find(tmp_path)]
    assert found == ["a/1.opus", "a/2.FLAC", "b.wav", "c.raw"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_make_it_do_anything_but_read_or_refuse(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, headed: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.wav"
    path.write_bytes((wav_bytes(0.01)[:40] if headed else b"") + noise)
    try:
        assert files.load(path).dtype == np.int16
    except AudioFileError as error:
        assert "\n" not in str(error)
