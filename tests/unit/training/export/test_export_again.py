"""An export that takes the graph of an earlier one: only the constants are new, and the graph must be the run's own."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")

import msgspec
import soundfile

from edge.inference import bundle as bundles
from edge.util.errors import UserError
from tests.support.training import tiny_corpus
from training.calibrate import relative_head
from training.data import splits
from training.data.corpora import catalogue
from training.export import bundle as export
from training.export import golden
from training.fit import checkpoint, out_of_fold, resume
from training.recipes import recipe

SHIPPED = bundles.load(bundles.find("base"))


def pretrained_like(bundle):
    """Zeros in place of the weights that a bundle only names."""
    with np.load(bundle.path / resume.FILE) as archive:
        places = json.loads(archive["facts"].tobytes())["places"]
    return {place["encoder"]: np.zeros((2, 3, 4), np.float32) for place in places if "encoder" in place}


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A run whose output layer is that of the shipped bundle, and a few recordings to take the origin from."""
    monkeypatch.setattr(relative_head, "LENGTH", 200)
    data, run = tiny_corpus.corpora(tmp_path / "data", speakers=1), tmp_path / "run"
    for number in range(12):
        path = data / "ordinary" / "reading" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, golden.voice(number, 0.6), 16000)
    run.mkdir()
    with np.load(SHIPPED.path / bundles.HEAD) as held:
        checkpoint.save_weights(run / "epoch-00.npz", [held["kernel"], held["bias"]])
    facts = {
        "recipe": msgspec.to_builtins(recipe.load("base")), "seed": 1, "history": [{"epoch": 0}],
        "relative_bias": [0.0] * 8,
    }  # fmt: skip
    (run / "history.json").write_text(json.dumps(facts))
    random = np.random.default_rng(1)
    truth = np.where(np.arange(240) < 160, -1, np.arange(240) % 7)
    outputs = random.normal(0, 0.5, (240, 8))
    outputs[np.arange(240), np.maximum(truth, 0)] += 4.0
    out_of_fold.OutOfFold(
        outputs, truth, np.array([f"s{n % 8}" for n in range(240)]), np.where(truth < 0, "reading", "acted")
    ).write(run / out_of_fold.FILE)
    return export.Job(run, data, tmp_path / "models", "9.0.0", quiet=True, graph_of=SHIPPED)


def test_constants_are_chosen_anew_for_the_same_graph(job):
    made = bundles.load(export.run(job, lambda bundle, facts: {"ordinary": {"called": 0.5}}))
    assert made.full_name == "base-9.0.0" and made.sha256 == SHIPPED.sha256
    old, new = SHIPPED.manifest.relative, made.manifest.relative
    assert old is not None and new is not None
    # Measured on the graph itself, of these recordings.
    assert new.baseline.origin != old.baseline.origin and np.isfinite(new.baseline.origin).all()
    assert new.decision.threshold != old.decision.threshold
    assert made.manifest.metrics == {"ordinary": {"called": 0.5}}


def test_a_bundle_that_is_trained_further_keeps_the_operating_point_of_its_own_recipe(job):
    history = json.loads((job.run / "history.json").read_text())
    history["recipe"]["relative"]["kept_share"] = 0.9
    (job.run / "history.json").write_text(json.dumps(history))
    made = bundles.load(export.run(job, lambda bundle, facts: {}))
    weights = pretrained_like(SHIPPED)
    own, new = resume.read(made, lambda: weights)
    old, before = resume.read(SHIPPED, lambda: weights)
    assert own.relative is not None and own.relative.kept_share == 0.9
    assert old.relative is not None and old.relative.kept_share != 0.9
    assert all(np.array_equal(a, b) for a, b in zip(new, before, strict=True))


def test_the_origin_hears_nothing_of_a_source_that_is_left_out(job):
    for number in range(12):
        path = job.data / "ordinary" / "orders" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, golden.voice(number, 0.6), 16000)
    history = job.run / "history.json"
    facts = json.loads(history.read_text())
    history.write_text(json.dumps(facts | {"notes": {out_of_fold.LEFT_OUT: "orders"}}))
    export.run(job, lambda bundle, facts: {})
    (means,) = job.run.glob("origin-*.json")
    assert set(json.loads(means.read_text())) == {"ravdess", "nemo", "reading"}


def test_the_graph_of_another_run_is_refused(job):
    weights = checkpoint.load_weights(job.run / "epoch-00.npz")
    checkpoint.save_weights(job.run / "epoch-00.npz", [weights[0][::-1], weights[1]])
    with pytest.raises(UserError, match="not that of the graph"):
        export.run(job, lambda bundle, facts: {})
    assert not (job.out / "base-9.0.0").exists()


def test_the_operating_point_is_chosen_on_speech_as_the_device_cuts_it(job, monkeypatch):
    split = splits.load()
    clips = catalogue.clips(catalogue.read(job.data, split.corpora))
    own = [clip for clip in split.select(clips, "calibrate") if clip.label == "neutral"]
    pause = np.zeros(32000, np.int16)
    four = [part for number in (0, 2, 3, 4) for part in (golden.voice(number), pause)]
    soundfile.write(own[0].path, np.concatenate(four), 16000)
    seen, choose = [], relative_head.choose
    monkeypatch.setattr(
        relative_head, "choose", lambda *given, **how: seen.append(given[4:]) or choose(*given, **how)
    )
    export.run(job, lambda bundle, facts: {})
    ((unseen,),) = seen  # the constants are chosen once
    # Four utterances of one recording, each with its arousal.
    assert (unseen.speakers == own[0].speaker).sum() > sum(clip.speaker == own[0].speaker for clip in clips)
    assert (
        unseen.logits.shape == (len(unseen.truth), 8)
        and (unseen.truth[unseen.speakers == own[0].speaker] >= 0).all()
    )
