"""Which recordings a protocol hears, and the household protocols on recordings of one's own."""

import json

import numpy as np
import pytest

from tests.support.bundles import tiny
from training import cli
from training.data import splits
from training.data.corpora.clip import Clip
from training.evaluate import clip_lists, compare
from training.export import golden

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")
pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")
LABELS = ("neutral", "angry", "sad")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(tiny.make(tmp_path_factory.mktemp("bundle"), relative=True))


def record(path, seed=1, seconds=0.8):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, golden.voice(seed, seconds), 16000)


@pytest.fixture
def own(tmp_path):
    """`DIR/<label>/<speaker>/*`."""
    for number, label in enumerate(LABELS):
        for speaker in ("anna", "ben"):
            record(tmp_path / "own" / label / speaker / "one.wav", number + 10 * (speaker == "ben"))
    return tmp_path / "own"


def evaluate(bundle, protocol, data, *options):
    return cli.main(["evaluate", "--protocol", protocol, "--bundle", bundle, "--data", str(data), *options])


@pytest.mark.parametrize("protocol", ["household", "arousal", "episodes", "one-emotion"])
def test_rooms_are_simulated_from_recordings_of_ones_own(bundle, own, protocol, capsys):
    assert evaluate(bundle, protocol, own, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    sets = {one.get("set", "folder") for one in (found if isinstance(found, list) else [found])}
    assert sets == {"folder"}


def test_a_corpus_of_other_speakers_is_a_set_of_its_own(bundle, tmp_path, capsys):
    for actor in (1001, 1002):
        for word in ("NEU", "ANG", "SAD"):
            record(tmp_path / "crema-d" / "AudioWAV" / f"{actor}_DFA_{word}_XX.wav", actor)
    for word in ("n", "a", "f"):
        record(tmp_path / "savee" / f"DC_{word}01.wav")
    assert evaluate(bundle, "household", tmp_path, "--json") == 0
    assert {one["set"] for one in json.loads(capsys.readouterr().out)} == {"crema-d", "savee"}


def test_of_corpora_that_training_hears_only_the_test_speakers_are_taken(tmp_path, caplog):
    for actor in range(1, 25):
        record(tmp_path / "ravdess" / f"Actor_{actor:02d}" / f"03-01-05-01-01-01-{actor:02d}.wav", actor, 0.3)
    record(tmp_path / "emovo" / "f1" / "dis-f1-b1.wav")
    found = clip_lists.labelled(tmp_path)
    speakers = {clip.speaker for clip in found}
    assert speakers == {name for name in splits.load().test if name.startswith("ravdess/")} | {"emovo/f1"}
    # Of nEMO nothing is there, so none of its speakers is missed.
    assert "missing" not in caplog.text


def test_speech_that_is_not_acted_stands_for_neutral_speech(bundle, own, capsys):
    for path in (own / "neutral").rglob("*.wav"):
        path.unlink()
    assert evaluate(bundle, "household", own) == 2
    assert "neutral" in capsys.readouterr().err
    record(own / "ordinary" / "anna" / "one.wav")
    assert evaluate(bundle, "household", own, "--json") == 0
    assert {one["set"] for one in json.loads(capsys.readouterr().out)} == {"folder"}


@pytest.mark.parametrize("protocol", ["arousal", "episodes"])
def test_ordinary_speech_that_cannot_be_used_is_left_out_and_named(bundle, own, protocol, caplog, capsys):
    """Of the one speaker in `ordinary` none is held back."""
    record(own / "ordinary" / "anna" / "0.wav")
    assert not clip_lists.has_ordinary(own)
    assert evaluate(bundle, protocol, own, "--json") == 0
    assert "without ordinary speech" in caplog.text
    # Not a number would be no JSON.
    assert "NaN" not in capsys.readouterr().out
    assert compare.default_protocols(own) == ["household"]


def test_a_little_ordinary_speech_is_no_number_either(bundle, own, capsys):
    record(own / "ordinary" / "anna" / "0.wav")
    assert evaluate(bundle, "arousal", own, "--all-speakers", "--json") == 0
    (found,) = [json.loads(capsys.readouterr().out)]
    assert found["auc_against_ordinary"] is None


def test_ordinary_speech_in_which_nothing_is_heard_is_an_error(bundle, tmp_path, monkeypatch, capsys):
    silent = tmp_path / "ordinary" / "k" / "a.wav"
    silent.parent.mkdir(parents=True)
    soundfile.write(silent, np.zeros(16000, np.int16), 16000)
    voice = tmp_path / "voice.wav"
    record(voice, seconds=1.5)
    monkeypatch.setattr(
        clip_lists.synthetic_voices, "clips", lambda: (Clip("synthetic", voice, "synthetic/a", "ordinary"),)
    )
    assert evaluate(bundle, "ordinary", tmp_path, "--all-speakers") == 2
    assert "synthetic voices" in capsys.readouterr().err


def test_folders_that_are_no_label_are_named(own, caplog):
    record(own / "wütend" / "anna" / "one.wav")
    record(own / "noise" / "kitchen" / "one.wav")
    assert len(clip_lists.labelled(own)) == 6
    assert "wütend" in caplog.text and "noise" not in caplog.text


def test_kept_outputs_are_those_of_these_recordings(bundle, own, tmp_path, monkeypatch, capsys):
    """Two folders of the same name, each seen from beside it, and a file that was replaced."""
    other = tmp_path / "elsewhere" / "own"
    for label in LABELS:
        record(other / label / "anna" / "one.wav", 40 + len(label), 2.0)
    lengths = []
    for folder in (own, other, own):
        monkeypatch.chdir(folder.parent)
        assert evaluate(bundle, "household", "own", "--json", "--cache", str(tmp_path / "kept")) == 0
        lengths.append(json.loads(capsys.readouterr().out)[0]["by_length"])
    assert lengths[0] == lengths[2] != lengths[1]
    record(own / "angry" / "anna" / "one.wav", 70, 2.5)
    assert evaluate(bundle, "household", "own", "--json", "--cache", str(tmp_path / "kept")) == 0
    assert json.loads(capsys.readouterr().out)[0]["by_length"] != lengths[0]


def test_a_set_without_emotions_is_left_out_and_named(bundle, own, caplog):
    record(own / "emo-db" / "03a01Nc.wav")
    assert evaluate(bundle, "household", own) == 0
    assert "emo-db is left out" in caplog.text


@pytest.mark.parametrize("protocol", ["arousal", "episodes"])
def test_without_agitated_speech_there_is_nothing_to_tell_from_calm(bundle, own, protocol, capsys):
    for path in (own / "angry").rglob("*.wav"):
        path.unlink()
    assert evaluate(bundle, protocol, own) == 2
    assert "angry" in capsys.readouterr().err


def test_a_folder_without_labels_is_told_what_may_be_in_it(bundle, tmp_path, capsys):
    record(tmp_path / "a.wav")
    assert evaluate(bundle, "household", tmp_path) == 2
    said = capsys.readouterr().err
    assert "<label>/<speaker>" in said and "crema-d" in said


def test_of_ordinary_speech_all_speakers_are_taken_when_asked_for(bundle, tmp_path, capsys):
    names = [f"{number}.wav" for number in range(12)]
    for name in names:
        record(tmp_path / "ordinary" / "kitchen" / name, len(name))
    record(tmp_path / "ordinary" / "beside.wav")
    held_back = clip_lists.ordinary(tmp_path)
    everyone = clip_lists.ordinary(tmp_path, all_speakers=True)
    assert 0 < len(held_back) < len(everyone) == len(names) + 1
    assert {clip.corpus for clip in everyone} == {"kitchen", "ordinary"}
    assert evaluate(bundle, "ordinary", tmp_path, "--all-speakers", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sources"]["kitchen"]["utterances"] >= len(names)


def test_where_no_speaker_is_held_back_the_option_is_named(bundle, tmp_path, capsys):
    record(tmp_path / "ordinary" / "kitchen" / "0.wav")
    if clip_lists.splits.is_held_back(clip_lists.ordinary(tmp_path, all_speakers=True)[0]):
        pytest.fail("another name is needed for this test")
    assert evaluate(bundle, "ordinary", tmp_path) == 2
    assert "--all-speakers" in capsys.readouterr().err


def test_bundles_are_compared_on_recordings_of_ones_own(bundle, own, capsys):
    assert compare.default_protocols(own) == ["household"]
    assert cli.main(["compare", bundle, bundle, "--data", str(own)]) == 0
    assert "folder" in capsys.readouterr().out
