from pathlib import Path

import numpy as np
import pytest

from edge.audio import files
from edge.audio import vad as module
from edge.audio.segmenter import BLOCK, Samples
from edge.audio.vad import (
    SileroVad,
    Vad,
    VadError,
    WebrtcVad,
    make_vad,
)
from edge.config.load import load
from tests.conftest import SPEECH
from tests.support.log_codes import codes

GOLDEN = Path(__file__).with_name("silero_golden.npz")


def probabilities(vad: Vad, samples: Samples) -> np.ndarray:
    blocks = samples[: samples.size // BLOCK * BLOCK].reshape(-1, BLOCK)
    return np.array([vad.probability(block) for block in blocks])


@pytest.fixture(scope="module")
def speech() -> Samples:
    path = SPEECH / "goforward.raw"
    if not path.exists():
        pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
    return files.load(path)


def test_it_answers_as_the_original_network_does() -> None:
    with np.load(GOLDEN) as golden:
        answers = probabilities(SileroVad(), golden["samples"])
        np.testing.assert_allclose(answers, golden["probabilities"], atol=1e-3)
        # A golden file of silence would prove nothing.
        assert 0.1 < np.mean(golden["probabilities"] > 0.5) < 0.9


def test_after_a_reset_it_answers_as_if_new() -> None:
    with np.load(GOLDEN) as golden:
        samples = golden["samples"]
    vad = SileroVad()
    first = probabilities(vad, samples)
    assert not np.array_equal(probabilities(vad, samples), first)
    vad.reset()
    np.testing.assert_array_equal(probabilities(vad, samples), first)


@pytest.mark.parametrize("engine", [SileroVad, WebrtcVad])
def test_recorded_speech_is_heard_and_noise_and_silence_are_not(
    engine: type[SileroVad | WebrtcVad], speech: Samples
) -> None:
    if engine is WebrtcVad:
        pytest.importorskip("webrtcvad")
    heard = probabilities(engine(), speech)
    assert heard.max() > 0.9
    assert 0.3 < np.mean(heard > 0.5) < 0.95
    faint = np.rint(np.random.default_rng(3).normal(0, 10, 32_000)).astype(np.int16)
    assert probabilities(engine(), faint).max() < 0.5
    assert probabilities(engine(), np.zeros(32_000, np.int16)).max() < 0.5


@pytest.mark.parametrize("engine", [SileroVad, WebrtcVad])
def test_several_blocks_at_once_are_the_same_bits(
    engine: type[SileroVad | WebrtcVad], speech: Samples
) -> None:
    if engine is WebrtcVad:
        pytest.importorskip("webrtcvad")
    blocks = speech[: 60 * BLOCK].reshape(-1, BLOCK)
    one, many = engine(), engine()
    expected = [one.probability(block) for block in blocks]
    found = [value for part in np.split(blocks, [1, 17, 20, 52]) for value in many.probabilities(part)]
    assert found == expected
    assert max(found) > 0.5
    many.reset()
    assert many.probabilities(blocks) == expected


@pytest.mark.parametrize("engine", [SileroVad, WebrtcVad])
@pytest.mark.parametrize(
    "block", [np.zeros(511, np.int16), np.zeros(BLOCK, np.float32), np.zeros((1, BLOCK), np.int16)]
)
def test_anything_but_a_block_is_refused(engine: type[SileroVad | WebrtcVad], block: Samples) -> None:
    if engine is WebrtcVad:
        pytest.importorskip("webrtcvad")
    with pytest.raises(ValueError, match=r"a block is int16 \[512\]"):
        engine().probability(block)


def test_the_configuration_chooses_the_detector() -> None:
    pytest.importorskip("webrtcvad")
    assert make_vad(load()).engine == "silero"
    assert make_vad(load(None, {"vad.engine": "webrtc"})).engine == "webrtc"


def test_without_its_file_webrtc_stands_in_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("webrtcvad")
    monkeypatch.setattr(module.SileroVad.__init__, "__defaults__", (tmp_path / "none.tflite",))
    assert make_vad(load()).engine == "webrtc"
    assert codes(caplog) == ["webrtc_instead"]


def test_without_any_detector_the_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.SileroVad.__init__, "__defaults__", (tmp_path / "none.tflite",))
    monkeypatch.setitem(__import__("sys").modules, "webrtcvad", None)
    with pytest.raises(VadError, match=r"roomtone train vad.*pip install webrtcvad-wheels"):
        make_vad(load())


def test_a_damaged_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "silero.tflite").write_bytes(b"TFL3" + b"\0" * 100)
    with pytest.raises(ValueError, match="cannot load this model"):
        SileroVad(tmp_path / "silero.tflite")


@pytest.mark.data
def test_against_the_speaker_turns_of_meetings_it_is_right_most_of_the_time(corpora: Path) -> None:
    """A band, not a benchmark: what it hears is speech, in recordings it was not made for."""
    turns: dict[str, list[tuple[float, float]]] = {}
    for table in sorted((corpora / "vad").glob("*.rttm")):
        for row in table.read_text().splitlines():
            if row.startswith("SPEAKER"):
                _, name, _, start, length, *_ = row.split()
                turns.setdefault(name, []).append((float(start), float(length)))
    right = total = 0
    for path in sorted((corpora / "vad").glob("*.opus")):
        spans = turns[path.stem]
        answers = probabilities(SileroVad(), files.load(path)) > 0.5
        times = (np.arange(answers.size) + 0.5) * 0.032
        truth = np.any([(start <= times) & (times < start + length) for start, length in spans], axis=0)
        right += int(np.sum(answers == truth))
        total += answers.size
    assert total > 10_000
    assert right / total > 0.75, right / total
