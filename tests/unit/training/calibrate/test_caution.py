"""How careful a head is in a room that it does not know yet: chosen on what rooms add to all their utterances."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")

from edge.inference.relative_head import RelativeHead
from edge.protocol import LABELS
from tests.support.bundles.tiny import RELATIVE
from training.calibrate import caution
from training.fit.out_of_fold import OutOfFold

HEAD = msgspec.convert(RELATIVE, RelativeHead)


def neutral(offset: np.ndarray, count: int = 60) -> OutOfFold:
    """Neutral speech of a room that adds `offset` `[8]` to all its outputs."""
    random = np.random.default_rng(2)
    # Neutral speech lies three below the threshold, so that a known room keeps all of it.
    usual = np.array([3.0, 0, 0, 0, 0, 0, 0, 0])
    outputs = random.normal(0.0, 0.3, (count, 8)) + usual + offset
    return OutOfFold(
        outputs, np.zeros(count, np.int64), np.array(["x/1"] * count), np.array(["room"] * count)
    )


def moved(index: int, by: float) -> np.ndarray:
    offset = np.zeros(8)
    offset[index] = by
    return offset


def test_rooms_that_add_nothing_need_no_caution():
    usual = neutral(np.zeros(8))
    assert caution.choose(usual, HEAD, ["room"], 0.97) == 0.0


def test_the_more_a_room_adds_the_more_careful_is_its_beginning():
    angry = LABELS.index("angry")
    chosen = [caution.choose(neutral(moved(angry, by)), HEAD, ["room"], 0.97) for by in (0.0, 8.0, 11.0)]
    assert chosen == sorted(chosen) and 0.0 == chosen[0] < chosen[1] < chosen[2]


def test_with_the_chosen_caution_neutral_speech_is_kept_from_the_first_utterance():
    from training.metrics import replay

    heard = neutral(moved(LABELS.index("angry"), 8.0))
    chosen = caution.choose(heard, HEAD, ["room"], 0.97)
    kept = {}
    for value in (0.0, chosen):
        head = msgspec.structs.replace(HEAD, decision=msgspec.structs.replace(HEAD.decision, caution=value))
        enough = np.ones(caution.FIRST, np.bool_)
        kept[value] = np.mean([
            (replay.replay(head, heard.logits[turn : turn + caution.FIRST], enough).labels <= 0).mean()
            for turn in range(40)
        ])  # fmt: skip
    assert kept[chosen] > 0.95 > kept[0.0]


def test_without_rooms_of_unseen_speakers_nothing_is_taken_off():
    assert caution.choose(neutral(np.zeros(8)), HEAD, [], 0.97) == 0.0
