"""Added recordings: what they change in household terms, and a head that tells recordings apart is stopped."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")

from edge.protocol import LABELS
from edge.util.errors import UserError
from training.calibrate import added, relative_head
from training.data.corpora import folder
from training.data.corpora.clip import ORDINARY, Clip
from training.export import bundle as export
from training.fit import out_of_fold, relative
from training.recipes.recipe import Probe, Relative

SIZE = 12


RECIPE = {"name": "base", "architecture": "whisper", "epochs": 0, "draws": 1}


def utterances(own_offset: float) -> relative.Utterances:
    """Two acted corpora, ordinary speech, and recordings of the user's own; clean and once more in households."""
    random = np.random.default_rng(5)
    directions = random.normal(0, 1.5, (len(LABELS), SIZE))
    directions[0] = 0.0
    clips, rows = [], []
    for corpus in ("acted-a", "acted-b", "reading", folder.CORPUS):
        for number in range(5):
            for index in range(42):
                label = index % 7 if corpus.startswith("acted") else 0
                clips.append(Clip(
                    corpus, Path(f"{index}.wav"), f"{corpus}/{number}", LABELS[label] if label else ORDINARY
                ))  # fmt: skip
                rows.append(
                    directions[label] + random.normal(0, 0.5, SIZE) + own_offset * (corpus == folder.CORPUS)
                )
    clean = np.array(rows, np.float32)
    homes = np.concatenate([np.full(len(clips), -1), np.arange(len(clips)) // 42])
    return relative.describe(clips, LABELS, homes, np.concatenate([clean, clean]))


def test_the_others_are_predicted_without_what_was_added():
    some = utterances(0.0)
    count = len(some.label) // 2
    own, heard = some.corpus[:count] == folder.CORPUS, []

    def fit(chosen, places):
        heard.append(set(chosen.corpus.tolist()))
        return relative.solve(chosen, Probe(penalty=0.1), Relative(), SIZE)

    found = out_of_fold.without(some, own, fit)
    assert found is not None
    assert all(folder.CORPUS not in names for names in heard)
    assert len(found[0].truth) == count
    assert (found[0].rooms == folder.CORPUS).sum() == own.sum()
    np.testing.assert_allclose(
        found[0].logits[found[0].rooms == folder.CORPUS], found[1].logits(some.pooled[:count][own])
    )


def run_of(folder_: Path, before_shift: float, after_shift: float) -> dict:
    """A run whose head calls neutral speech of `acted-a` an emotion by so many logits."""
    random = np.random.default_rng(7)
    truth = np.concatenate([np.repeat(np.arange(7), 40), np.zeros(280, np.int64)])
    truth[280:] = -1
    rooms = np.array(["acted-a"] * 280 + ["reading"] * 280)
    for name, shift in ((out_of_fold.BEFORE_FILE, before_shift), (out_of_fold.FILE, after_shift)):
        outputs = random.normal(0, 0.5, (560, 8))
        outputs[np.arange(560), np.maximum(truth, 0)] += 4.0
        # Neutral speech of this corpus varies far more than ordinary speech does: it looks like emotions.
        own = (truth == 0) & (random.random(560) < 0.5)
        outputs[own, 3] += shift
        out_of_fold.OutOfFold(outputs, truth, np.array([f"s{n % 8}" for n in range(560)]), rooms).write(
            folder_ / name
        )
    return {"relative_bias": [0.0] * 8, "relative_bias_before": [0.0] * 8, "recipe": RECIPE}


def test_a_detector_of_corpora_is_not_exported_unless_forced(tmp_path, monkeypatch):
    history = run_of(tmp_path, 0.0, 12.0)
    monkeypatch.setattr(relative_head, "LENGTH", 300)
    found = added.measure(tmp_path, history)
    assert found["before"]["acted-a"]["kept"] > 0.9 > 0.85 > found["after"]["acted-a"]["kept"]
    assert len(found["reasons"]) == 1 and "acted-a" in found["reasons"][0]
    (tmp_path / "history.json").write_text(json.dumps({"recipe": RECIPE, "history": [{"epoch": 0}]}))
    job = export.Job(tmp_path, tmp_path, tmp_path / "models", "1.0.0")
    with pytest.raises(UserError, match="tells recordings apart"):
        export.run(job, lambda bundle, facts: {})
    added.measure(tmp_path, history, force=True)
    with pytest.raises(UserError, match="has not been finished"):
        export.run(job, lambda bundle, facts: {})


def test_recordings_that_change_nothing_are_no_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(relative_head, "LENGTH", 300)
    found = added.measure(tmp_path, run_of(tmp_path, 0.0, 0.0))
    assert found["reasons"] == [] and set(found["after"]["reading"]) == {"called"}
    assert "reading: ordinary speech called an emotion" in added.text(found)
    added.check(tmp_path)


def test_a_run_without_added_recordings_has_no_terms(tmp_path):
    assert added.measure(tmp_path, {"relative_bias": [0.0] * 8}) is None
    added.check(tmp_path)
