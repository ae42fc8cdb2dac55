"""`roomtone classify` and `roomtone doctor` as processes, with the shipped model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.audio import files
from edge.audio.segmenter import Samples
from edge.protocol import LABELS, UNCERTAIN
from tests.conftest import SPEECH

sf = pytest.importorskip("soundfile")


def roomtone(*arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def speech() -> Samples:
    path = SPEECH / "goforward.raw"
    if not path.exists():
        pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
    return files.load(path)


@pytest.fixture
def wav(tmp_path: Path, speech: Samples) -> Path:
    sf.write(tmp_path / "speech.wav", speech, 16_000, subtype="PCM_16")
    return tmp_path / "speech.wav"


def answers(result: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert "Traceback" not in result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_object_a_line_for_each_file(wav: Path) -> None:
    result = roomtone("classify", "--json", wav, wav)
    assert result.returncode == 0
    first, second = answers(result)
    assert first == second
    assert first["file"] == str(wav)
    assert first["event_type"] in (*LABELS, UNCERTAIN)
    assert tuple(first["probabilities"]) == LABELS  # type: ignore[arg-type]
    assert sum(first["probabilities"].values()) == pytest.approx(1.0, abs=0.01)  # type: ignore[attr-defined]
    assert first["confidence"] == max(first["probabilities"].values())  # type: ignore[attr-defined]
    assert first["duration_s"] == pytest.approx(2.79, abs=0.02)
    assert 1.0 < first["speech_s"] < 2.5  # type: ignore[operator]


def test_people_get_a_line_and_a_bar_for_each_label(wav: Path) -> None:
    result = roomtone("classify", wav)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{wav}: ")
    assert sorted(line.split()[0] for line in lines[1:-1]) == sorted(LABELS)
    assert "█" in lines[1]
    assert lines[-1].startswith("  arousal    ")


def test_how_agitated_speech_is_is_said_of_the_whole_and_of_each_stretch(wav: Path) -> None:
    (found,) = answers(roomtone("classify", "--json", "--segments", wav))
    arousals = [segment["arousal"] for segment in found["segments"]]  # type: ignore[attr-defined]
    assert arousals and all(-1 <= arousal <= 1 for arousal in arousals)
    assert min(arousals) - 0.05 <= found["arousal"] <= max(arousals) + 0.05  # type: ignore[operator]
    lines = roomtone("classify", "--segments", wav).stdout.splitlines()
    assert [line.split()[-1] for line in lines[-len(arousals) :]] == [f"{one:+.2f}" for one in arousals]


@pytest.mark.parametrize(
    ("subtype", "rate", "channels"),
    [("PCM_U8", 16_000, 1), ("PCM_24", 44_100, 2), ("FLOAT", 22_050, 1), ("PCM_24", 96_000, 8)],
)
def test_other_formats_of_the_same_speech_give_nearly_the_same_answer(
    tmp_path: Path, wav: Path, speech: Samples, subtype: str, rate: int, channels: int
) -> None:
    soxr = pytest.importorskip("soxr")
    sound = soxr.resample(speech.astype(np.float32) / 32768, 16_000, rate)
    other = tmp_path / "other.wav"
    sf.write(other, np.repeat(sound[:, None], channels, axis=1), rate, subtype=subtype)
    if subtype == "PCM_U8":
        # Eight bits are noisy, and noise may change an answer: the same noise in sixteen bits.
        wav = tmp_path / "noisy.wav"
        sf.write(wav, sf.read(other, dtype="int16")[0], rate, subtype="PCM_16")
    first, second = answers(roomtone("classify", "--json", wav, other))
    difference = [
        abs(first["probabilities"][label] - second["probabilities"][label])  # type: ignore[index]
        for label in LABELS
    ]
    # They differ by rounding only.
    assert max(difference) < 0.12


def test_a_bad_file_is_named_and_the_others_are_classified_all_the_same(tmp_path: Path, wav: Path) -> None:
    nan = np.full(16_000, 0.1)
    nan[100] = np.nan
    bad = {name: tmp_path / name for name in ("empty.wav", "text.wav", "nan.wav", "sample.wav", "none.wav")}
    bad["empty.wav"].touch()
    bad["text.wav"].write_text("This is not sound.\n" * 100)
    sf.write(bad["nan.wav"], nan, 16_000, subtype="FLOAT")
    sf.write(bad["sample.wav"], np.array([0.5]), 16_000)
    result = roomtone("classify", "--json", *bad.values(), wav)
    assert result.returncode == 2
    found = answers(result)
    assert [answer["file"] for answer in found] == [*map(str, bad.values()), str(wav)]
    assert ["error" in answer for answer in found] == [True] * len(bad) + [False]
    complaints = result.stderr.splitlines()
    assert len(complaints) == len(bad)
    for path, line in zip(bad.values(), complaints, strict=True):
        assert line.startswith(f"roomtone: {path}: ")


def test_a_recording_cut_off_in_the_middle_is_classified_as_far_as_it_goes(tmp_path: Path, wav: Path) -> None:
    cut = tmp_path / "cut.wav"
    cut.write_bytes(wav.read_bytes()[: wav.stat().st_size // 2 + 1])
    result = roomtone("classify", "--json", cut)
    assert result.returncode == 0
    (answer,) = answers(result)
    assert answer["duration_s"] == pytest.approx(1.39, abs=0.02)
    assert answer["declared_s"] == pytest.approx(2.79, abs=0.02)
    assert result.stderr == (
        f"roomtone: {cut}: cut off: {answer['duration_s']:.2f} s of {answer['declared_s']:.2f} s are there; "
        "copy or record it again\n"
    )
    assert roomtone("classify", wav).stderr == ""


def test_a_short_word_is_uncertain_with_the_reason(tmp_path: Path, speech: Samples) -> None:
    loudest = int(np.abs(speech).argmax())
    sf.write(tmp_path / "short.wav", speech[max(0, loudest - 2400) : loudest + 2400], 16_000)
    result = roomtone("classify", tmp_path / "short.wav")
    assert re.search(r"short\.wav: uncertain, 14% \(0\.3 s; too little speech, 0\.\d s\)", result.stdout)


def test_standard_input_is_read(wav: Path) -> None:
    with wav.open("rb") as file:
        (answer,) = answers(roomtone("classify", "--json", "-", stdin=file))
    assert answer["file"] == "-"
    (piped,) = answers(roomtone("classify", "--json", wav))
    assert answer["probabilities"] == piped["probabilities"]


def test_where_nobody_speaks_the_answer_is_uncertain(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 200, 48_000).astype(np.int16)
    sf.write(tmp_path / "noise.wav", noise, 16_000)
    (answer,) = answers(roomtone("classify", "--json", tmp_path / "noise.wav"))
    assert answer["event_type"] == UNCERTAIN
    assert answer["speech_s"] == 0.0


def test_the_stretches_of_speech_are_told_where_asked_for(tmp_path: Path, speech: Samples) -> None:
    pause = np.random.default_rng(2).normal(0, 4, 24_000).astype(np.int16)
    sf.write(tmp_path / "two.wav", np.concatenate((speech, pause, speech)), 16_000)
    (answer,) = answers(roomtone("classify", "--json", "--segments", tmp_path / "two.wav"))
    first, second = answer["segments"]  # type: ignore[misc]
    assert second["start_s"] - first["start_s"] == pytest.approx((speech.size + pause.size) / 16_000, abs=0.1)
    assert set(first["probabilities"]) == set(LABELS)


def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path, speech: Samples) -> None:
    """Mostly quiet, so that it is over in a minute; 115 MB of samples that must not be held at once."""
    quiet = np.random.default_rng(2).normal(0, 4, 60 * 16_000).astype(np.int16)
    with sf.SoundFile(tmp_path / "hour.wav", "w", 16_000, 1, "PCM_16") as file:
        for minute in range(60):
            part = quiet.copy()
            if minute % 10 == 0:
                part[16_000 : 16_000 + speech.size] = speech
            file.write(part)
    code = (
        "import re, sys\nfrom edge.cli.main import main\nstatus = main(['classify', '--json', sys.argv[1]])\n"
        # Not `ru_maxrss`: that begins with what the parent had, and pytest may hold TensorFlow.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)\nsys.exit(status)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "hour.wav"], capture_output=True, text=True, check=True
    )
    line, peak_mb = result.stdout.splitlines()
    answer = json.loads(line)
    assert answer["duration_s"] == 3600.0
    assert 6 * 1.0 < answer["speech_s"] < 6 * 2.5
    assert int(peak_mb) < 200
    # A progress bar is for terminals.
    assert result.stderr == ""


def test_without_a_model_one_line_says_so(wav: Path, tmp_path: Path) -> None:
    result = roomtone("classify", "--bundle", tmp_path / "none", wav)
    assert result.returncode == 2
    assert result.stderr.startswith("roomtone: no model bundle")
    assert len(result.stderr.splitlines()) == 1


def test_the_doctor_finds_this_installation_in_order() -> None:
    result = roomtone("doctor", "--json")
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert {
        "python",
        "numpy",
        "model",
        "speed",
        "voice activity",
        "disk",
        "clock",
        "microphone",
    } <= set(found)
    assert [check for check in found.values() if check["state"] == "fail"] == []
    assert result.returncode == 0
    assert "golden outputs match" in found["model"]["detail"]


def test_the_doctor_names_what_is_broken_and_the_remedy(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    result = roomtone("doctor", "--set", f"model.bundle={tmp_path}/none", env=environment)
    assert result.returncode == 1
    assert "[FAIL] model: no model bundle" in result.stdout
    assert "-> install a bundle" in result.stdout
    assert re.search(r"\d+ checks: \d+ failed", result.stdout.splitlines()[-1])
