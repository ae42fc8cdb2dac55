"""Going on from a bundle: its weights come back out of the graph, and new speakers do not cross the split."""

import msgspec
import numpy as np
import pytest

from edge.inference import bundle as bundles
from edge.util.errors import UserError
from training.data import splits
from training.data.corpora.clip import ORDINARY, Clip
from training.fit import retrain
from training.recipes import recipe

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")

from tests.support.training import tiny_corpus  # noqa: E402


def clips(speakers: int) -> list[Clip]:
    return [
        Clip("folder", f"/{speaker}/{label}.wav", f"folder/{speaker}", label)
        for speaker in range(speakers)
        for label in ("happy", "sad")
    ]


@pytest.mark.parametrize(("speakers", "judges"), [(1, 0), (4, 0), (5, 1), (11, 2)])
def test_every_fifth_new_speaker_only_judges(speakers, judges):
    fitting, validation = retrain.halves(clips(speakers), seed=1)
    assert len({clip.speaker for clip in validation}) == judges
    assert not {clip.speaker for clip in fitting} & {clip.speaker for clip in validation}
    assert sorted(fitting + validation, key=str) == sorted(clips(speakers), key=str)
    assert (fitting, validation) == retrain.halves(clips(speakers), seed=1)


def test_new_recordings_are_read_by_label_and_speaker(tmp_path):
    for name in ("happy/ann/1.wav", "sad/bob/2.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        soundfile.write(tmp_path / name, np.zeros(1600), 16000)
    assert {(clip.speaker, clip.label) for clip in retrain.recordings([tmp_path])} == {
        ("folder/ann", "happy"),
        ("folder/bob", "sad"),
    }


def test_a_folder_without_labelled_recordings_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        retrain.recordings([tmp_path / "nowhere"])
    soundfile.write(tmp_path / "loose.wav", np.zeros(1600), 16000)
    with pytest.raises(UserError, match="1 x not in a folder named after a label"):
        retrain.recordings([tmp_path])


def test_a_run_that_goes_on_learns_slower_and_shorter():
    base = msgspec.structs.replace(recipe.load("base"), epochs=9)
    gentle = retrain.gentle(base)
    assert gentle.epochs < base.epochs
    assert gentle.head_rate < base.head_rate and gentle.trunk_rate < base.trunk_rate
    assert gentle.augment == base.augment


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(1600), 16000)


def test_ordinary_speech_of_the_users_own_is_read_where_it_is_asked_for(tmp_path):
    for name in ("happy/ann/1.wav", "ordinary/2.wav", "ordinary/bob/3.wav"):
        write(tmp_path / name)
    found = retrain.recordings([tmp_path], ordinary=True)
    assert {(clip.speaker, clip.label) for clip in found} == {
        ("folder/ann", "happy"), ("folder/2.wav", ORDINARY), ("folder/bob", ORDINARY),
    }  # fmt: skip
    assert {clip.label for clip in retrain.recordings([tmp_path])} == {"happy"}
    write(tmp_path / "alone" / "ordinary" / "4.wav")
    assert len(retrain.recordings([tmp_path / "alone"], ordinary=True)) == 1
    with pytest.raises(UserError, match="holds no labelled recording"):
        retrain.recordings([tmp_path / "alone"])


def test_a_relative_head_is_fitted_again_with_all_ordinary_speech(tmp_path, monkeypatch):
    """The old ordinary speech stays in, or nothing would tell neutral speech from a corpus."""
    data, own = tiny_corpus.corpora(tmp_path / "data"), tmp_path / "own"
    names = [f"reading/{number}.wav" for number in range(20)]
    for name in names:
        write(data / "ordinary" / name)
    write(own / "ordinary" / "mine.wav")
    write(own / "sad" / "me" / "1.wav")
    monkeypatch.setattr(retrain.resume, "read", lambda bundle, encoder: (recipe.load("base"), []))
    plan = retrain.plan(bundles.load(bundles.find("base")), [own], data, 1)
    held_back = [Clip("reading", data / "ordinary" / name, f"{name}", ORDINARY) for name in names]
    kept = {clip.path.name for clip in held_back if not splits.is_held_back(clip)}
    assert {clip.path.name for clip in plan.task.ordinary} == kept | {"mine.wav"}
    assert any(clip.speaker == "folder/me" for clip in plan.task.fitting)
    assert plan.facts["added_clips"] == {"fit": 1, "validate": 0, "ordinary": 1}
