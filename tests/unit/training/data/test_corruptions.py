import numpy as np
import pytest

from edge.inference import features
from edge.util.errors import UserError
from training.augment import corruptions
from training.data.corpora import noise
from training.data.recordings import Sounds
from training.export import golden

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")


@pytest.fixture
def data(tmp_path):
    for name in (*noise.TRAINING, *noise.EVALUATION):
        (tmp_path / "noise" / name).mkdir(parents=True)
    hiss = np.random.default_rng(0).normal(0, 500, 40000).astype(np.int16)
    soundfile.write(tmp_path / "noise" / "household" / "hiss.wav", hiss, 16000)
    (tmp_path / "rooms").mkdir()
    response = np.zeros(8000, np.int16)
    response[100], response[2100] = 20000, 10000
    soundfile.write(tmp_path / "rooms" / "echo.wav", response, 16000)
    return tmp_path


def test_noise_has_the_level_that_was_asked_for_and_is_the_same_every_time(data):
    speech = features.to_float(golden.voice(1))
    change = corruptions.noisy(data, 5.0, Sounds())
    added = change(speech, 3) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(5.0, abs=0.01)
    assert np.array_equal(change(speech, 3), corruptions.noisy(data, 5.0, Sounds())(speech, 3))
    assert not np.array_equal(change(speech, 3), change(speech, 4))


def test_a_room_repeats_the_sound_and_keeps_the_direct_one(data):
    click = np.zeros(8000, np.float32)
    click[1000] = 1.0
    found = corruptions.rooms(data)["echo"](click, 0)
    assert found[1000] == pytest.approx(1.0, abs=1e-3)
    assert found[3000] == pytest.approx(0.5, abs=1e-3)


def test_training_and_evaluation_noise_are_different_files(data):
    assert not set(noise.TRAINING) & set(noise.EVALUATION)
    assert noise.training_files(data) == []
    assert len(noise.evaluation_files(data)) == 1


def test_missing_noise_and_rooms_are_said(tmp_path):
    with pytest.raises(UserError, match="household"):
        corruptions.noisy(tmp_path, 5.0, Sounds())
    with pytest.raises(UserError, match="impulse response"):
        corruptions.rooms(tmp_path)
