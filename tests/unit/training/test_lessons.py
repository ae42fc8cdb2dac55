"""Lessons: prepared once, gone on with after a kill, mixed from labels and what a teacher says."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile", reason="soundfile is installed with the edge")

from edge.contract import LABELS
from edge.errors import UserError
from edge.model import bundle as bundles
from tests.unit.training.materials import corpora
from training import batches, lessons, splits
from training.corpora import catalogue
from training.recipe import Augment, Distil, Recipe
from training.sounds import Sounds

TEACHER = bundles.find("base")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> batches.Source:
    data = corpora(tmp_path_factory.mktemp("lessons"), speakers=1)
    split = splits.load()
    clips = split.select(catalogue.clips(catalogue.read(data, split.corpora)), "fit")[:6]
    recipe = Recipe(
        name="small", architecture="cnn", epochs=1, draws=6,
        distil=Distil(variants=2, temperature=1.0, teacher_share=0.5), augment=Augment(mixup=0.0),
    )  # fmt: skip
    return batches.Source(clips, LABELS, Sounds(), [], recipe)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("lessons-*/*.npz"))}


def test_targets_are_half_the_label_and_half_the_teacher(source, tmp_path):
    found = lessons.Lessons(source, TEACHER, 1, tmp_path, workers=1, quiet=True)
    batch = found.batch(([0, 3], [1, 0, 2, 0]))
    assert batch.features.shape[0] == 2 and batch.features.shape[2] == 80
    np.testing.assert_allclose(batch.targets.sum(axis=1), 1.0, atol=1e-5)
    for row, index in enumerate((0, 3)):
        label = LABELS.index(source.clips[index].label)
        assert batch.targets[row, label] >= 0.5
        assert (np.delete(batch.targets[row], label) > 0).all(), "the teacher is never quite sure"


def test_without_a_teacher_the_label_is_all(source, tmp_path):
    found = lessons.Lessons(source, None, 1, tmp_path, workers=1, quiet=True)
    batch = found.batch(([2], [1, 0, 2, 0]))
    assert batch.targets[0].tolist() == [float(label == source.clips[2].label) for label in LABELS]


def test_what_is_prepared_is_not_prepared_again_and_the_rest_is(source, tmp_path, monkeypatch):
    monkeypatch.setattr(lessons, "CHUNK", 2)
    lessons.Lessons(source, TEACHER, 1, tmp_path, workers=1, quiet=True)
    whole = files(tmp_path)
    assert len(whole) == 2 * 3
    # As a kill leaves it: one file is missing, and a half-written one lies beside.
    folder = next(tmp_path.glob("lessons-*"))
    (folder / "01-000002.npz").unlink()
    (folder / "01-000002.npz.part").write_bytes(b"half")
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    lessons.Lessons(source, TEACHER, 1, tmp_path, workers=2, quiet=True)
    assert files(tmp_path).keys() == whole.keys()
    for name, content in files(tmp_path).items():
        assert content == whole[name], f"{name} is another one"
        assert name == "01-000002.npz" or (folder / name).stat().st_mtime_ns == stamps[name]


def test_the_same_key_gives_the_same_batch_and_another_seed_other_lessons(source, tmp_path):
    one = lessons.Lessons(source, None, 1, tmp_path, workers=1, quiet=True)
    again = lessons.Lessons(source, None, 1, tmp_path, workers=1, quiet=True)
    other = lessons.Lessons(source, None, 2, tmp_path, workers=1, quiet=True)
    task = ([0, 1, 2], [1, 4, 2, 9])
    assert np.array_equal(one.batch(task).features, again.batch(task).features)
    assert not np.array_equal(one.batch(task).features, other.batch(task).features)


def test_a_damaged_file_is_named(source, tmp_path):
    lessons.Lessons(source, None, 1, tmp_path, workers=1, quiet=True)
    path = next(tmp_path.glob("lessons-*/*.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=f"{path.name}: cannot be read, remove it"):
        lessons.Lessons(source, None, 1, tmp_path, workers=1, quiet=True)


def test_a_teacher_of_other_labels_is_refused(source, tmp_path):
    import dataclasses

    other = dataclasses.replace(source, labels=(*LABELS, "calm"))
    with pytest.raises(UserError, match="other labels"):
        lessons.Lessons(other, TEACHER, 1, tmp_path, workers=1, quiet=True)
