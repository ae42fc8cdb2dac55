import msgspec
import numpy as np
import pytest

from edge.model.room import RoomMean, RoomState, adapted

SIZE = 32
RANDOM = np.random.default_rng(3)
ORIGIN = RANDOM.normal(size=SIZE)


def test_nothing_heard_moves_nothing():
    assert not RoomMean(ORIGIN).shift.any()


def test_a_room_that_sounds_like_the_training_moves_nothing():
    room = RoomMean(ORIGIN)
    for _ in range(500):
        room.add(ORIGIN)
    assert np.abs(room.shift).max() < 1e-12


def test_what_was_heard_for_long_is_taken_out():
    offset = RANDOM.normal(size=SIZE)
    room = RoomMean(ORIGIN)
    for _ in range(3000):
        room.add(ORIGIN + offset + 0.1 * RANDOM.normal(size=SIZE))
    assert np.linalg.norm(room.shift + offset) < 0.1 * np.linalg.norm(offset)


def test_the_first_utterances_move_little_and_each_further_one_more():
    room, sizes = RoomMean(ORIGIN, prior=60), []
    for _ in range(5):
        room.add(ORIGIN + 1)
        sizes.append(float(np.linalg.norm(room.shift)))
    assert sizes == sorted(sizes)
    assert sizes[0] == pytest.approx(np.sqrt(SIZE) / 61)


def test_a_room_that_changes_is_followed():
    room = RoomMean(ORIGIN, memory=100)
    for _ in range(1000):
        room.add(ORIGIN + 1)
    for _ in range(1000):
        room.add(ORIGIN - 1)
    assert (room.shift > 0).all()


@pytest.mark.parametrize(
    "bad",
    [np.full(SIZE, np.nan), np.r_[np.inf, np.zeros(SIZE - 1)], np.zeros(SIZE + 1), np.zeros((1, SIZE)), 3.0],
)
def test_numbers_that_are_none_and_other_sizes_are_ignored(bad):
    room = RoomMean(ORIGIN)
    room.add(ORIGIN + 1)
    before = room.to_state()
    assert not room.add(bad)
    assert room.to_state() == before


def test_the_embedding_that_was_added_may_change_afterwards():
    room, embedding = RoomMean(ORIGIN), ORIGIN + 1
    room.add(embedding)
    before = room.shift
    embedding[:] = 99
    assert (room.shift == before).all()


def test_a_state_goes_on_where_it_was():
    first, whole = RoomMean(ORIGIN), RoomMean(ORIGIN)
    speech = ORIGIN + RANDOM.normal(size=(40, SIZE))
    for embedding in speech[:20]:
        first.add(embedding)
    state = msgspec.json.decode(msgspec.json.encode(first.to_state()), type=RoomState)
    second = RoomMean.from_state(ORIGIN, state)
    for embedding in speech[20:]:
        second.add(embedding)
    for embedding in speech:
        whole.add(embedding)
    assert (second.shift == whole.shift).all()
    assert second.heard == 40


@pytest.mark.parametrize(
    "state",
    [
        RoomState(1, 1.0, (0.0,) * (SIZE - 1)),
        RoomState(1, 1.0, (float("nan"),) * SIZE),
        RoomState(1, 2.0, (0.0,) * SIZE),
        RoomState(1, -1.0, (0.0,) * SIZE),
        RoomState(1, float("nan"), (0.0,) * SIZE),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(state):
    with pytest.raises(ValueError, match=r"numbers"):
        RoomMean.from_state(ORIGIN, state)


@pytest.mark.parametrize("mean", [[], [[0.0]], [float("nan")]])
def test_a_training_mean_that_is_none_is_refused(mean):
    with pytest.raises(ValueError, match="training mean"):
        RoomMean(mean)


def test_adapted_logits_are_those_of_the_moved_embedding():
    kernel, bias = RANDOM.normal(size=(SIZE, 7)), RANDOM.normal(size=7)
    embedding, shift = RANDOM.normal(size=SIZE), RANDOM.normal(size=SIZE)
    found = adapted(embedding @ kernel + bias, kernel, shift)
    assert found == pytest.approx((embedding + shift) @ kernel + bias)
