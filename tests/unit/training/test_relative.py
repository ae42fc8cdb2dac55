"""A head relative to a baseline, on made-up features: what a corpus adds to all its recordings must not be learnt."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")

from edge.inference.relative_head import HIGH_AROUSAL
from edge.protocol import LABELS
from training.calibrate import relative_head
from training.data.corpora.clip import ORDINARY, Clip
from training.fit import out_of_fold, relative
from training.metrics import replay
from training.metrics.classification import area_under_curve
from training.recipes.recipe import Probe, Relative

SIZE = 24
PROBE, HOW = Probe(penalty=0.01), Relative()


def made(seed: int = 0) -> relative.Utterances:
    """Two acted corpora and two of ordinary speech, each moved by a large offset; a clean round and one more."""
    random = np.random.default_rng(seed)
    directions = random.normal(0, 1.0, (len(LABELS), SIZE))
    directions[0] = 0
    clips, rows = [], []
    for corpus in ("acted-a", "acted-b", "reading", "commands"):
        offset = random.normal(0, 3.0, SIZE)
        for number in range(6):
            voice = random.normal(0, 0.4, SIZE)
            for index in range(42):
                acted = corpus.startswith("acted")
                label = index % 7 if acted else 0
                name = LABELS[label] if acted else ORDINARY
                clips.append(Clip(corpus, Path(f"{index}.wav"), f"{corpus}/{number}", name))
                rows.append(offset + voice + 1.5 * directions[label] + random.normal(0, 0.5, SIZE))
    clean = np.array(rows, np.float32)
    again = clean + random.normal(0, 0.3, clean.shape).astype(np.float32)
    homes = np.concatenate([np.full(len(clips), -1), np.arange(len(clips)) // 42 + 100])
    return relative.describe(clips, LABELS, homes, np.concatenate([clean, again]))


@pytest.fixture(scope="module")
def utterances() -> relative.Utterances:
    return made()


@pytest.fixture(scope="module")
def left_out(utterances) -> out_of_fold.OutOfFold:
    found = out_of_fold.predict(
        utterances, len(utterances.label) // 2, lambda some, places: relative.solve(some, PROBE, HOW, SIZE)
    )
    assert found is not None
    return found


def test_every_weight_of_a_part_is_in_proportion(utterances):
    weights = relative.weigh(utterances.label, utterances.corpus, HOW)
    acted = np.char.startswith(utterances.corpus, "acted")
    assert weights.mean() == pytest.approx(1.0)
    assert weights[~acted].sum() == pytest.approx(HOW.ordinary * weights[acted].sum())


def test_a_simulated_baseline_takes_out_what_a_household_adds(utterances):
    inputs = utterances.pooled.astype(np.float32)
    origin = relative.origin_of(inputs, utterances)
    how = Relative(absolute_share=0.0, prior=0.01)
    examples, places = relative.differences(inputs, utterances, origin, how, np.random.default_rng(0))
    neutral = utterances.neutral[places]
    before = inputs[places][neutral].std(axis=0).mean()
    assert examples[neutral].std(axis=0).mean() < 0.4 * before
    assert len(examples) == how.draws * len(inputs)


def test_the_graph_answers_as_if_the_room_were_ordinary_in_general(utterances):
    head = relative.solve(utterances, PROBE, HOW, SIZE)
    assert head.kernel.shape == (SIZE, 8)
    inputs = ((utterances.pooled - head.centre) * head.scale) @ head.components
    origin = relative.origin_of(inputs, utterances)
    assert origin @ head.kernel + head.bias == pytest.approx(head.relative_bias, abs=1e-4)


def test_the_device_begins_with_the_prior_of_the_recipe(left_out):
    for how in (HOW, msgspec.structs.replace(HOW, prior=9.0)):
        head = relative_head.choose(left_out, np.zeros(7), np.zeros(8), "arousal", how=how)
        assert head.baseline.prior == how.prior


def test_unseen_speakers_are_told_apart_at_one_operating_point(left_out):
    bias = np.zeros(7)
    head = relative_head.choose(left_out, bias, np.zeros(8), "arousal")
    high = head.arousal_scale.high
    assert head.arousal_scale.low == pytest.approx(-relative_head.CALM_SHARE * high, abs=1e-4)
    called, named = [], []
    for room in np.unique(left_out.rooms):
        own = np.flatnonzero(left_out.rooms == room)
        order = np.random.default_rng(1).permutation(own)
        neutral = order[left_out.truth[order] <= 0]
        settled = np.concatenate([neutral, order])
        found = replay.replay(head, left_out.logits[settled], np.ones(len(settled), bool))
        truth = np.maximum(left_out.truth[settled], 0)[len(neutral) :]
        labels = found.labels[len(neutral) :]
        called.append((labels[truth == 0] > 0).mean())
        if (truth > 0).any():
            named.append((labels == truth)[truth > 0].mean())
    assert np.mean(called) < 0.15
    assert np.mean(named) > 0.4


def test_the_labels_help_to_tell_agitated_speech_from_calm(left_out):
    """Where the output of arousal is half noise, the labels know better."""
    noisy = left_out.logits.copy()
    noisy[:, 7] += np.random.default_rng(3).normal(0, 3 * noisy[:, 7].std(), len(noisy))
    doubtful = replace(left_out, logits=noisy)
    head = relative_head.choose(doubtful, np.zeros(7), None, "arousal")
    assert head.baseline.arousal_odds is not None
    alone = msgspec.structs.replace(head, baseline=msgspec.structs.replace(head.baseline, arousal_odds=None))
    own = np.flatnonzero(left_out.rooms == "acted-a")
    truth = left_out.truth[own]
    high = np.isin(truth, [LABELS.index(name) for name in HIGH_AROUSAL])
    area = []
    for one in (alone, head):
        arousal = replay.replay(one, noisy[own], np.ones(len(own), bool)).relative_arousal
        area.append(area_under_curve(arousal[high], arousal[truth == 0]))
    assert area[1] > area[0] + 0.02


def test_out_of_fold_speakers_are_never_fitted(utterances):
    count, seen = len(utterances.label) // 2, []

    def fit(some, places):
        seen.append(set(some.speaker.tolist()))
        return relative.solve(some, PROBE, HOW, SIZE)

    assert out_of_fold.predict(utterances, count, fit) is not None
    tested = list(out_of_fold.folds(utterances.speaker[:count], utterances.corpus[:count]))
    assert len(tested) == out_of_fold.FOLDS
    for held, names in zip(tested, seen, strict=True):
        assert not names & set(utterances.speaker[:count][held].tolist())
        assert len(set(utterances.corpus[:count][held].tolist())) == 4


def test_speakers_that_nothing_was_fitted_to_keep_their_neutral(left_out):
    """The head tells the speakers of a room apart better than others: what others sound like decides."""
    room = next(
        name for name in np.unique(left_out.rooms) if (left_out.truth[left_out.rooms == name] > 0).any()
    )
    own = left_out.rooms == room
    logits = left_out.logits[own].copy()
    # To the head the neutral utterances of these speakers are nearer to an emotion.
    rows = np.flatnonzero(left_out.truth[own] <= 0)[::4]
    logits[rows, 1] += 3.0
    other = out_of_fold.OutOfFold(
        logits, left_out.truth[own], np.char.add(left_out.speakers[own], "-other"), left_out.rooms[own]
    )
    joined = left_out.with_rooms_of(other)
    assert (joined.rooms == room).sum() == own.sum() and len(joined.truth) == len(left_out.truth)
    bias = np.zeros(7)
    loose = relative_head.choose(left_out, bias, None, "arousal")
    strict = relative_head.choose(left_out, bias, None, "arousal", other)
    assert strict.decision.threshold > loose.decision.threshold
    kept = [relative_head.in_household_terms(joined, head)[room]["kept"] for head in (loose, strict)]
    assert kept[0] < HOW.kept_share - 0.02 and kept[1] > HOW.kept_share - 0.02
    free = relative_head.choose(
        left_out, bias, None, "arousal", other, how=msgspec.structs.replace(HOW, kept_share=0.0)
    )
    assert free.decision.threshold < strict.decision.threshold
    talkative = relative_head.choose(
        left_out, bias, None, "arousal", how=msgspec.structs.replace(HOW, ordinary_share=0.2)
    )
    assert talkative.decision.threshold < loose.decision.threshold


def test_probabilities_are_not_calibrated_on_recordings_of_the_field(left_out, monkeypatch):
    """Where labels cannot be heard, nothing would be sure: a corpus with doubtful labels must not decide that."""
    monkeypatch.setattr(relative_head, "LENGTH", 300)
    own = left_out.rooms == "acted-a"
    muddled = left_out.logits.copy()
    neutral = np.flatnonzero(own & (left_out.truth == 0))
    muddled[own & (left_out.truth > 0)] = left_out.logits[
        np.resize(neutral, int((own & (left_out.truth > 0)).sum()))
    ]

    def decisions(rooms):
        made = (replace(left_out, rooms=rooms, logits=logits) for logits in (left_out.logits, muddled))
        return [relative_head.choose(one, np.zeros(7), None, "arousal").decision for one in made]

    clear, doubtful = decisions(np.where(own, "emospeech/House", left_out.rooms))
    assert clear == doubtful
    clear, doubtful = decisions(left_out.rooms)
    assert clear.threshold == doubtful.threshold and clear.slope > doubtful.slope


def test_a_head_that_has_not_converged_is_used_and_told_to_developers_alone(
    utterances, monkeypatch, caplog, recwarn
):
    caplog.set_level("DEBUG", "training")
    whole = relative.solve(utterances, PROBE, HOW, SIZE)
    assert not caplog.records
    monkeypatch.setattr(relative, "STEPS", 2)
    short = relative.solve(utterances, PROBE, HOW, SIZE)
    assert not list(recwarn)
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]
    assert short.loss > whole.loss
