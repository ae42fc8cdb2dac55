import msgspec
import numpy as np
import pytest

from edge.inference.baseline import LIMIT, Baseline, BaselineState
from edge.protocol.messages import LABELS

COUNT = len(LABELS)
ORIGIN = np.array([0.3, -0.2, 0.1, 0.0, -0.4, 0.2, 0.0])
SPREAD = 4.0
"""How far the logit of what is said stands out."""


def speech(random: np.random.Generator, moods: list[int], offset: np.ndarray, count: int) -> np.ndarray:
    """Logits `[count, 7]` of utterances in the given moods, heard through a room that moves them all."""
    said = ORIGIN + offset + random.normal(0, 0.7, (count, COUNT))
    said[np.arange(count), random.choice(moods, count)] += SPREAD
    return said


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def offset(random) -> np.ndarray:
    found = random.normal(size=COUNT)
    found -= found.mean()
    return found / np.linalg.norm(found)


def heard(logits: np.ndarray, **options: float) -> Baseline:
    room = Baseline(ORIGIN + SPREAD / COUNT, **options)
    for one in logits:
        assert room.add(one)
    return room


def test_nothing_heard_moves_nothing():
    assert not Baseline(ORIGIN).shift.any()


def test_a_room_like_the_training_moves_nothing(random):
    room = heard(speech(random, list(range(COUNT)), np.zeros(COUNT), 3000))
    assert np.linalg.norm(room.shift) < 0.15


def test_what_a_room_adds_to_all_its_moods_is_taken_out(random, offset):
    room = heard(speech(random, list(range(COUNT)), offset, 2000))
    assert np.linalg.norm(room.shift + offset) < 0.15


def test_an_unheard_room_is_understood_better(random):
    # All the room's speech sounds a little angry and little neutral: most of it is taken for anger.
    offset = np.array([-1.3, 0, 0, 1.9, 0, -0.6, 0])
    moods = random.integers(0, COUNT, 500)
    said = ORIGIN + offset + random.normal(0, 0.9, (500, COUNT))
    said[np.arange(500), moods] += 2.0
    room, adapted = Baseline(ORIGIN + 2.0 / COUNT), []
    for one in said:
        adapted.append((one + room.shift).argmax())
        room.add(one)
    plain = (said.argmax(axis=1) == moods).mean()
    assert (np.array(adapted) == moods).mean() >= plain + 0.05


@pytest.mark.parametrize("mood", range(COUNT))
def test_one_clear_mood_for_a_day_is_still_heard(random, offset, mood):
    said = speech(random, [mood], 0.5 * offset, 200)
    room, lost = Baseline(ORIGIN + SPREAD / COUNT), 0
    for one in said:
        lost += int(one.argmax() == mood) - int((one + room.shift).argmax() == mood)
        room.add(one)
    assert lost <= 0.03 * 200
    assert room.diversity_weight < 0.5


def test_the_first_utterances_move_little_and_each_further_one_more():
    room, sizes = Baseline(ORIGIN, prior=20), []
    # As many moods as there are labels: the mean counts in full.
    one = ORIGIN * 0 + np.array([0.1, -0.1, 0, 0, 0, 0, 0])
    for _ in range(5):
        room.add(one)
        sizes.append(float(np.linalg.norm(room.shift)))
    assert sizes == sorted(sizes)
    away = ORIGIN - one
    assert sizes[0] == pytest.approx(np.linalg.norm(away - away.mean()) / 21)


def test_the_shift_has_a_limit(random, offset):
    room = heard(speech(random, list(range(COUNT)), 1.8 * offset, 2000), temperature=2.0)
    assert np.linalg.norm(room.shift) == pytest.approx(1.8, abs=0.15)
    room = heard(speech(random, list(range(COUNT)), 1.8 * offset, 2000), temperature=0.5)
    assert np.linalg.norm(room.shift) <= LIMIT * 0.5 + 1e-9


def test_a_room_that_changes_is_followed(random, offset):
    all_moods = list(range(COUNT))
    room = heard(speech(random, all_moods, offset, 1000), memory=200)
    for one in speech(random, all_moods, -offset, 1000):
        room.add(one)
    assert room.shift @ offset > 0.6


@pytest.mark.parametrize(
    "bad",
    [
        np.full(COUNT, np.nan),
        np.r_[np.inf, np.zeros(6)],
        np.full(COUNT, 1e300),
        np.zeros(8),
        np.zeros((1, 7)),
        3.0,
    ],
)
def test_numbers_that_are_none_and_other_sizes_are_ignored(bad):
    room = Baseline(ORIGIN)
    room.add(ORIGIN + 1)
    before = room.to_state()
    assert not room.add(bad)
    assert room.to_state() == before


def test_what_was_added_may_change_afterwards():
    room, logits = Baseline(ORIGIN), ORIGIN * 2
    room.add(logits)
    before = room.to_state()
    logits[:] = 99
    assert room.to_state() == before


def test_forgotten_is_as_new(random, offset):
    room = heard(speech(random, [0, 1, 2, 3], offset, 300))
    room.reset()
    assert room.to_state() == Baseline(ORIGIN + SPREAD / COUNT).to_state()
    assert not room.shift.any()


def test_a_state_goes_on_where_it_was(random, offset):
    said = speech(random, list(range(COUNT)), offset, 80)
    first, second = heard(said[:40]), Baseline(ORIGIN + SPREAD / COUNT)
    second.restore(msgspec.json.decode(msgspec.json.encode(first.to_state()), type=BaselineState))
    for one in said[40:]:
        second.add(one)
    assert second.to_state() == heard(said).to_state()
    assert second.utterances == 80


def test_a_state_does_not_grow(random, offset):
    said = speech(random, list(range(COUNT)), offset, 10)
    few = len(msgspec.json.encode(heard(said).to_state()))
    assert len(msgspec.json.encode(heard(np.tile(said, (300, 1))).to_state())) <= few + 64
    assert few < 1024


FLAT = (1 / 7,) * 7


@pytest.mark.parametrize(
    "state",
    [
        BaselineState(1, 1.0, (0.0,) * 6, FLAT),
        BaselineState(1, 1.0, (0.0,) * 7, FLAT[:6]),
        BaselineState(1, 1.0, (float("nan"),) * 7, FLAT),
        BaselineState(1, 1.0, (1e9,) * 7, FLAT),
        BaselineState(1, 1.0, (0.0,) * 7, (0.0,) * 7),
        BaselineState(1, 1.0, (0.0,) * 7, (2.0, -1.0, 0, 0, 0, 0, 0)),
        BaselineState(1, 1.0, (0.0,) * 7, (float("nan"),) * 7),
        BaselineState(1, 2.0, (0.0,) * 7, FLAT),
        BaselineState(1, -1.0, (0.0,) * 7, FLAT),
        BaselineState(1, float("nan"), (0.0,) * 7, FLAT),
    ],
)
def test_a_state_that_makes_no_sense_is_refused_and_changes_nothing(state):
    room = Baseline(ORIGIN)
    room.add(ORIGIN + 1)
    before = room.to_state()
    with pytest.raises(ValueError, match=r"numbers"):
        room.restore(state)
    assert room.to_state() == before


@pytest.mark.parametrize("logits", [[], [[0.0] * 7], [float("nan")] * 7, [0.0] * 512])
def test_training_logits_that_are_none_are_refused(logits):
    with pytest.raises(ValueError, match="training logits"):
        Baseline(logits)
