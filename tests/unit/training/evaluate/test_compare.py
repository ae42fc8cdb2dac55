import msgspec
import numpy as np
import pytest

from edge.inference import bundle
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.metrics.predictions import Predictions, softmax

pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")

from training.evaluate import compare, compare_household
from training.evaluate.evaluator import Evaluator
from training.evaluate.labelled.measures import measure
from training.evaluate.report import tables
from training.metrics import classification as metrics


def made_up(rights, clips=60, seed=0):
    """One model on speakers of whom it hears so large a share right: decisions as logits."""
    random = np.random.default_rng(seed)
    truth = np.tile(np.arange(len(rights) * clips) % len(LABELS), 1)
    speakers = np.repeat([f"x/{index}" for index in range(len(rights))], clips)
    right = random.random(truth.size) < np.repeat(rights, clips)
    decided = np.where(right, truth, (truth + 1 + random.integers(6, size=truth.size)) % len(LABELS))
    logits = np.eye(len(LABELS))[decided]
    names = tuple(f"{index}.wav" for index in range(truth.size))
    enough = np.ones(truth.size, np.bool_)
    return Predictions(
        logits, np.zeros((truth.size, 1)), truth, tuple(speakers), ("x",) * truth.size, names, enough
    )


def row(old, new):
    pair = compare.Pair("held-out", "", old, new)
    return compare.difference(pair, [old.logits.argmax(axis=1)], [new.logits.argmax(axis=1)], 1)


def test_a_model_is_no_better_than_itself():
    one = made_up([0.5, 0.7, 0.9, 0.6])
    found = row(one, one)
    assert found["macro_f1"]["difference"] == found["macro_f1"]["low_95"] == found["macro_f1"]["high_95"] == 0
    verdict, sentence = compare.verdict_of([found], "base-0.1.0", "base-0.1.0", 2.0)
    assert verdict == "equal"
    assert "may be chance" in sentence


def test_a_comparison_decides_as_the_evaluation_does():
    """The calibration of a relative head weighs `neutral` against the emotions, so the largest logit may be another."""
    random = np.random.default_rng(2)
    shipped = bundle.load(bundle.find("base"))
    one = made_up([0.6, 0.7])
    outputs = random.normal(0.0, 1.5, (len(one.truth), len(LABELS) + 1))
    found = Predictions(
        outputs, one.embeddings, one.truth, one.speakers, one.rooms, one.names, one.enough_speech
    )
    (decided,) = compare._decisions(shipped, found, None)
    assert (decided != found.logits.argmax(axis=1)).any()
    pair = compare.Pair("held-out", "", found, found)
    row = compare.difference(pair, [decided], [decided], 1)
    measured = measure("held-out", shipped, found)
    assert row["macro_f1"]["old"] == pytest.approx(measured["macro_f1"], abs=1e-4)


def test_numbers_are_those_of_the_measures():
    old, new = made_up([0.5, 0.7, 0.9]), made_up([0.7, 0.7, 0.8], seed=1)
    found = row(old, new)
    for key in ("macro_f1", "accuracy"):
        for name, one in (("old", old), ("new", new)):
            expected = metrics.summary(softmax(one.logits), one.truth, LABELS)[key]
            assert found[key][name] == pytest.approx(expected)
    assert found["n"] == 180 and found["speakers"] == 3 and found["drawn"] == "speakers"


def test_better_for_every_speaker_is_better():
    rights = np.linspace(0.4, 0.8, 8)
    found = row(made_up(rights), made_up(rights + 0.15, seed=1))
    verdict, sentence = compare.verdict_of([found], "base-0.1.0", "base-0.2.0", 2.0)
    assert verdict == "better"
    assert "base-0.2.0 is better than base-0.1.0 in held-out" in sentence and "means something" in sentence
    assert (
        compare.verdict_of([row(made_up(rights + 0.15), made_up(rights, seed=1))], "a", "b", 2.0)[0]
        == "worse"
    )


def test_better_for_one_speaker_alone_means_nothing():
    found = row(made_up([0.6, 0.6, 0.6, 0.6]), made_up([0.95, 0.6, 0.6, 0.6], seed=1))
    assert found["macro_f1"]["difference"] > 2
    assert found["macro_f1"]["low_95"] < 0
    assert compare.verdict_of([found], "a", "b", 2.0)[0] == "equal"


def test_far_below_is_worse_even_where_it_may_be_chance():
    found = row(made_up([0.95, 0.6, 0.6, 0.6]), made_up([0.6, 0.6, 0.6, 0.6], seed=1))
    assert found["macro_f1"]["high_95"] > 0
    verdict, sentence = compare.verdict_of([found], "a", "b", 2.0)
    assert verdict == "worse" and "may be chance" in sentence
    assert compare.verdict_of([found], "a", "b", 50.0)[0] == "equal"


def test_one_bad_condition_outweighs_a_good_one():
    rights = np.linspace(0.4, 0.8, 8)
    good = row(made_up(rights), made_up(rights + 0.15, seed=1))
    bad = row(made_up(rights + 0.15), made_up(rights, seed=1)) | {"condition": "0 dB"}
    verdict, sentence = compare.verdict_of([good, bad], "a", "b", 2.0)
    assert verdict == "worse" and "held-out, 0 dB" in sentence


def test_clips_are_drawn_where_there_is_one_speaker():
    one = made_up([0.7])
    found = row(one, made_up([0.8], seed=1))
    assert found["drawn"] == "clips"
    assert found["macro_f1"]["low_95"] < found["macro_f1"]["difference"] < found["macro_f1"]["high_95"]


def test_a_protocol_without_labels_is_refused(tmp_path):
    shipped = bundle.load(bundle.find("base"))
    with pytest.raises(UserError, match="cannot be compared"):
        compare.run(shipped, shipped, tmp_path, ["false-alarms"])


def test_measures_of_tables_are_those_of_the_summary():
    one = made_up([0.5, 0.7])
    table = metrics.confusion(one.truth, one.logits.argmax(axis=1), len(LABELS)).astype(float)
    summary = metrics.summary(softmax(one.logits), one.truth, LABELS)
    assert metrics.macro_f1_of(table[None])[0] == pytest.approx(summary["macro_f1"])
    assert metrics.accuracy_of(table[None])[0] == pytest.approx(summary["accuracy"])


class MadeUp(Evaluator):
    """A bundle that has heard made-up utterances: eight outputs each, of two speakers a room.

    The room moves all outputs by `shift` towards `angry`.
    """

    def __init__(self, found_bundle, tmp_path, shift=0.0):
        super().__init__(found_bundle, tmp_path)
        random = np.random.default_rng(2)
        origin = np.array(found_bundle.manifest.relative.baseline.origin)
        truth = np.where(np.arange(240) < 160, 0, 1 + np.arange(240) % 6)
        outputs = origin + random.normal(0, 0.7, (240, 8))
        outputs[np.arange(240), truth] += np.where(truth > 0, 4.0, 0.0)
        outputs += shift * (np.arange(8) == LABELS.index("angry"))
        self._made = Predictions(
            outputs, np.zeros((240, 1)), truth, tuple(f"x/{index % 4}" for index in range(240)), ("x",) * 240,
            tuple(map(str, range(240))), np.ones(240, np.bool_), np.full(240, 1500),
        )  # fmt: skip

    def utterances(self, which):
        return self._made.take(np.flatnonzero(self._made.truth == 0)) if which == "ordinary" else self._made


def with_decision(found_bundle, **changes):
    head = found_bundle.manifest.relative
    decision = msgspec.structs.replace(head.decision, **changes)
    manifest = msgspec.structs.replace(
        found_bundle.manifest, relative=msgspec.structs.replace(head, decision=decision)
    )
    return msgspec.structs.replace(found_bundle, manifest=manifest)


def household_rows(tmp_path, change):
    old = bundle.load(bundle.find("base"))
    new = with_decision(old, threshold=old.manifest.relative.decision.threshold + change)
    evaluators = [MadeUp(old, tmp_path), MadeUp(new, tmp_path)]
    return [
        row for name in compare_household.PROTOCOLS for row in compare_household.rows(evaluators, name, 1)
    ]


def test_a_bundle_is_no_better_than_itself_at_home(tmp_path):
    rows = household_rows(tmp_path, 0.0)
    assert [row["protocol"] for row in rows] == ["ordinary", "household"]
    assert all(
        row[name]["difference"] == 0 for row in rows for name in ("called", "named", "kept") if name in row
    )
    assert compare.verdict_of(rows, "a", "b", 2.0)[0] == "equal"


def test_a_bundle_that_calls_more_ordinary_speech_an_emotion_is_worse(tmp_path):
    rows = household_rows(tmp_path, -3.0)
    assert rows[0]["called"]["difference"] > 0
    assert compare.verdict_of(rows, "a", "b", 2.0)[0] == "worse"


def test_a_bundle_that_is_careful_in_a_new_room_is_better_there(tmp_path):
    old = with_decision(bundle.load(bundle.find("base")), caution=0.0)
    evaluators = [MadeUp(one, tmp_path, shift=8.0) for one in (old, with_decision(old, caution=2.0))]
    (found,) = compare_household.rows(evaluators, "household", 1)
    assert found["kept_first"]["low_95"] > 0
    assert abs(found["kept"]["difference"]) < found["kept_first"]["difference"] / 4
    assert "kept, first 10" in tables.comparison({"rows": [found], "sentence": ""})


def test_the_rooms_of_a_household_decide_before_labelled_clips(tmp_path):
    rights = np.linspace(0.4, 0.8, 8)
    better = row(made_up(rights), made_up(rights + 0.15, seed=1))
    assert compare.verdict_of([*household_rows(tmp_path, -3.0), better], "a", "b", 2.0)[0] == "worse"
    assert compare.verdict_of([better, *household_rows(tmp_path, 0.0)], "a", "b", 2.0)[0] == "better"
