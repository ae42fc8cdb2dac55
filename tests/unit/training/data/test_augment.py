import numpy as np
import pytest

from edge.inference import features
from edge.protocol import LABELS
from training.augment import transforms
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.export import golden
from training.fit import batches, data_loader
from training.recipes import recipe

pytest.importorskip("soxr", reason="soxr is installed with the edge")


def random():
    return np.random.default_rng(5)


def clips(tmp_path, count=12):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")
    made = []
    for index in range(count):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, golden.voice(index, 0.5 + index / 10), 16000)
        made.append(Clip("test", path, f"test/{index % 3}", LABELS[index % 7]))
    return made


def test_noise_is_added_at_the_level_that_was_asked_for():
    speech = features.to_float(golden.voice(1))
    noise = transforms.coloured_noise(speech.size, random())
    added = transforms.add_noise(speech, noise, 10.0) - speech
    ratio = 10 * np.log10(np.mean(speech**2) / np.mean(added**2))
    assert ratio == pytest.approx(10.0, abs=0.01)


def test_speed_changes_the_length():
    speech = features.to_float(golden.voice(1))
    assert transforms.change_speed(speech, 1.1).size == pytest.approx(speech.size / 1.1, abs=2)


def test_a_room_keeps_length_and_lengthens_sound():
    click = np.zeros(16000, np.float32)
    click[1000] = 1.0
    echo = transforms.reverberate(click, 0.5, 3.0, random())
    assert echo.size == click.size
    assert not echo[:900].any() or np.abs(echo[:900]).max() < 1e-4
    assert np.abs(echo[3000:6000]).max() > 1e-4


def test_augmented_speech_is_finite_and_at_most_three_seconds():
    how = recipe.load("base").augment
    generator = random()
    for seed in range(20):
        found = transforms.speech(golden.voice(seed, 4.0), [golden.voice(99, 1.0)], how, generator)
        assert 0 < found.size <= 48000
        assert np.isfinite(found).all() and np.abs(found).max() <= 1.0


def test_another_throat_moves_bands_and_none_moves_nothing():
    mel = np.tile(np.arange(80, dtype=np.float32), (10, 1))
    assert np.allclose(transforms.vocal_tract(mel, 1.0), mel)
    assert transforms.vocal_tract(mel, 1.1)[0, 40] == pytest.approx(44.0)


def test_the_same_seed_and_epoch_give_the_same_batches(tmp_path):
    source = batches.Source(clips(tmp_path), LABELS, Sounds(), [], recipe.load("base"))
    one, again = source.batch(([0, 3, 5], [1, 2, 3])), source.batch(([0, 3, 5], [1, 2, 3]))
    other = source.batch(([0, 3, 5], [1, 2, 4]))
    assert np.array_equal(one.features, again.features) and np.array_equal(one.targets, again.targets)
    assert one.features.shape != other.features.shape or not np.array_equal(one.features, other.features)


def test_a_batch_is_padded_as_the_device_pads(tmp_path):
    source = batches.Source(clips(tmp_path), LABELS, Sounds(), [], recipe.load("base"))
    found = source.batch(([0, 11], [7, 0]))
    assert found.features.shape[1] == 2 * found.mask.shape[1]
    hidden = np.repeat(found.mask, 2, axis=1) == 0
    assert not found.features[hidden].any()
    assert found.targets.sum(axis=1) == pytest.approx(1.0)


def test_an_epoch_hears_small_corpora_and_rare_labels_more_often(tmp_path):
    big = [Clip("big", tmp_path, "big/1", "happy")] * 900 + [Clip("big", tmp_path, "big/1", "sad")] * 900
    small = [Clip("small", tmp_path, "small/1", "disgust")] * 100
    chosen = batches.plan(big + small, 500, seed=1, epoch=0)
    assert len(chosen) == pytest.approx(500, abs=3)
    rare = sum(index >= 1800 for index in chosen)
    assert rare / 500 > 2 * 100 / 1900
    assert batches.plan(big + small, 500, seed=1, epoch=0) == chosen
    assert batches.plan(big + small, 500, seed=1, epoch=1) != chosen


def test_batches_hold_clips_of_similar_length():
    lengths = list(np.linspace(1.0, 3.0, 160))
    groups = batches.group(range(160), lengths, 16, seed=1, epoch=0)
    assert sorted(index for group in groups for index in group) == list(range(160))
    spread = np.mean([np.ptp([lengths[index] for index in group]) for group in groups])
    assert spread < 1.2


def test_an_error_while_batches_are_made_is_raised_where_they_are_used():
    def broken():
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(data_loader.prefetch(broken()))


def test_overdrive_keeps_the_peak_and_flattens_the_rest():
    speech = features.to_float(golden.voice(1))
    driven = transforms.overdrive(speech, 12.0)
    assert np.abs(driven).max() == pytest.approx(np.abs(speech).max())
    assert (np.abs(driven) > 0.999 * np.abs(driven).max()).mean() > 0.01


@pytest.mark.parametrize("name", transforms.CODECS, ids=lambda name: name[1])
def test_a_codec_changes_samples_but_not_their_number_or_level(name):
    speech = features.to_float(golden.voice(1))
    heard = transforms.codec(speech, name)
    assert heard.size == speech.size and not np.array_equal(heard, speech)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(speech**2)), rel=0.35)


def test_one_of_the_rooms_is_heard():
    how = recipe.Augment(reverberation_share=1.0, noise_share=0.0, speed_share=0.0, gain_db=(0.0, 0.0))
    recording = golden.voice(1)
    dry = transforms.speech(recording, [], how, random(), [np.ones(1, np.float32)])
    wet = transforms.speech(recording, [], how, random(), [np.array([1.0, *[0.0] * 400, 0.5], np.float32)])
    np.testing.assert_allclose(wet[401:], np.clip(dry[401:] + 0.5 * dry[:-401], -1, 1), atol=1e-4)
