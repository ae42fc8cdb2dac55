"""Going on from a bundle: its weights come back out of the graph, and new speakers do not cross the split."""

import msgspec
import numpy as np
import pytest

from edge.util.errors import UserError
from training.data.corpora.clip import Clip
from training.fit import retrain
from training.recipes import recipe

soundfile = pytest.importorskip("soundfile", reason="soundfile is installed with the edge")


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
