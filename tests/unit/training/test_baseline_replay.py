import numpy as np
import pytest

from edge.inference.baseline import Baseline
from edge.protocol.messages import LABELS
from training.metrics import baseline_replay
from training.metrics.predictions import Predictions

pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")

# What the network says of a mood, on average, and of no mood in particular.
SURE = 3.0


def made_up(count=300, rooms=("ravdess", "nemo"), offset=0.0, seed=0):
    """Logits that are a mood, noise and the room's own offset."""
    random = np.random.default_rng(seed)
    truth = random.integers(len(LABELS), size=count)
    room = random.integers(len(rooms), size=count)
    offsets = offset * random.normal(size=(len(rooms), len(LABELS)))
    logits = SURE * np.eye(len(LABELS))[truth] + random.normal(size=(count, len(LABELS))) + offsets[room]
    found = Predictions(
        logits, np.zeros((count, 1)), truth, tuple(f"s{index % 6}" for index in range(count)),
        tuple(rooms[index] for index in room), tuple(str(index) for index in range(count)),
    )  # fmt: skip
    return found, Baseline(np.full(len(LABELS), SURE / len(LABELS)))


def accuracy(logits, truth):
    return float((logits.argmax(axis=1) == truth).mean())


def test_what_comes_later_changes_nothing():
    found, room = made_up(offset=1.0)
    order = np.random.default_rng(1).permutation(len(found.truth))
    heard = baseline_replay.hear(found.logits, room, order)
    for moment in (1, 40, 250):
        other = order.copy()
        other[moment:] = np.random.default_rng(2).permutation(order[moment:])
        again = baseline_replay.hear(found.logits, room, other)
        np.testing.assert_array_equal(again[:moment], heard[:moment])
        # The utterance of that moment, if it is the same, is decided by the same past.
        assert (again[moment] == heard[moment]).all() == (other[moment] == order[moment])


def test_the_first_utterance_is_decided_as_without_adaptation():
    found, room = made_up(offset=1.0)
    heard = baseline_replay.hear(found.logits, room, np.arange(len(found.truth)))
    np.testing.assert_array_equal(heard[0], found.logits[0])
    assert not np.allclose(heard[-1], found.logits[-1])


def test_rooms_do_not_hear_each_other():
    found, room = made_up(offset=1.0)
    alone = found.take(np.flatnonzero(np.array(found.rooms) == "nemo"))
    whole = next(iter(baseline_replay.replay(found, room)))[np.array(found.rooms) == "nemo"]
    orders = next(iter(baseline_replay.orders(alone)))
    assert set(orders) == {"nemo"}
    # The same order in the small set as in the large one.
    large = next(iter(baseline_replay.orders(found)))["nemo"]
    place = {name: index for index, name in enumerate(alone.names)}
    order = np.array([place[found.names[index]] for index in large])
    heard = baseline_replay.hear(alone.logits, room, order)
    expected = np.empty_like(heard)
    expected[order] = heard
    np.testing.assert_allclose(whole, expected)


def test_the_offset_of_a_room_is_taken_out():
    found, room = made_up(1500, offset=1.5)
    plain = accuracy(found.logits, found.truth)
    adapted = np.mean([accuracy(logits, found.truth) for logits in baseline_replay.replay(found, room)])
    assert adapted > plain + 0.04


def test_orders_are_seeded_and_differ_from_each_other():
    found, _ = made_up()
    one, again = list(baseline_replay.orders(found)), list(baseline_replay.orders(found))
    assert len(one) == 5
    for first, second in zip(one, again, strict=True):
        assert all(np.array_equal(first[room], second[room]) for room in first)
    assert not np.array_equal(one[0]["nemo"], one[1]["nemo"])
    assert sorted(np.concatenate(list(one[2].values()))) == list(range(len(found.truth)))


def test_a_day_of_one_mood_is_200_utterances_of_it():
    own = np.arange(30, 70)
    day = baseline_replay.repeat(own, np.random.default_rng(0))
    assert len(day) == 200
    assert {int(place) for place in day} == set(range(30, 70))
    # Nothing is said again before everything has been said.
    assert len(set(day[:40].tolist())) == 40
