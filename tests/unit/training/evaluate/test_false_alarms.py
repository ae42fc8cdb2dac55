import itertools

import numpy as np
import pytest

from edge.audio.segmenter import RATE
from edge.inference import bundle
from edge.util.errors import UserError
from training.evaluate.report import tables
from training.evaluate.stream import false_alarms

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")
pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")


def hiss(seed=0, seconds=6):
    return np.random.default_rng(seed).normal(0, 0.05, seconds * RATE).astype(np.float32)


def test_scenes_fill_the_time_and_are_the_same_every_time():
    sounds = [("one", hiss(0)), ("two", hiss(1))]
    found = list(false_alarms.scenes(sounds, 0.05, 3))
    assert sum(len(mixture) for _, mixture in found) == 0.05 * 3600 * RATE
    again = list(false_alarms.scenes(sounds, 0.05, 3))
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(found, again, strict=True))
    other = list(false_alarms.scenes(sounds, 0.05, 4))
    assert not np.array_equal(found[0][1][:8000], other[0][1][:8000])


def test_scenes_vary_in_level_and_in_what_is_mixed():
    found = list(itertools.islice(false_alarms.scenes([(str(i), hiss(i)) for i in range(4)], 1.0, 1), 60))
    levels = [20 * np.log10(np.sqrt(np.mean((mixture / 32768.0) ** 2))) for _, mixture in found]
    low, high = false_alarms.LEVEL_DBFS
    assert min(levels) < low + 8 and max(levels) > high - 8
    assert max(levels) < high + 5
    assert {len(names) for names, _ in found} == {1, 2, 3}


def test_silent_recordings_are_refused():
    with pytest.raises(UserError, match="silent"):
        list(false_alarms.scenes([("nothing", np.zeros(16000, np.float32))], 0.01, 1))


def test_a_corpus_without_noise_is_said(tmp_path):
    with pytest.raises(UserError, match="household"):
        false_alarms.run(bundle.load(bundle.find("base")), tmp_path)


def test_noise_goes_through_the_whole_chain(tmp_path):
    (tmp_path / "noise" / "household").mkdir(parents=True)
    soundfile.write(tmp_path / "noise" / "household" / "fan.wav", hiss(), RATE)
    (tmp_path / "noise" / "household" / "broken.wav").write_bytes(b"RIFF")
    found = false_alarms.run(bundle.load(bundle.find("base")), tmp_path, hours=0.01, quiet=True)
    assert found["hours"] == pytest.approx(0.01, abs=0.001)
    assert found["recordings"] == 1
    assert found["all"]["count"] == found["n"] == sum(found["events"].values())
    assert found["all"]["upper_95"] >= 2.99 / 0.011
    assert found["definition"] in tables.text([found])


@pytest.mark.data
def test_a_voice_among_the_noise_is_an_event(corpora):
    """The chain that counts false alarms does hear: a real voice in it makes an event."""
    path = next((corpora / "ravdess" / "Actor_02").glob("03-01-05-02-*"))
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    pause = np.random.default_rng(0).normal(0, 4, RATE).astype(np.int16)
    stream = iter([(("voice",), np.concatenate((pause, samples, pause)))])
    heard = false_alarms.listen(bundle.load(bundle.find("base")), stream, 0.002, True)
    assert heard.events.total() >= 1
    assert heard.sources["voice"] >= 1
    assert heard.speech_seconds > 0.5
