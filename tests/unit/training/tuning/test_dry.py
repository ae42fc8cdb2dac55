"""Dry speech beside what a simulated household hears: what tuning holds the encoder near."""

import numpy as np
import pytest

from training.augment import household
from training.export import golden

VOICE = household.Voice(speed=1.05, vocal_tract=1.0)
QUIET = household.Condition(None, np.zeros(6), 0.0, household.NO_NOISE, -20.0, None)


def heard(how: household.Condition, *, dry: bool):
    response = np.zeros(8000, np.float32)
    response[0], response[2000::100] = 1.0, 0.4
    speech = golden.voice(3, 1.2)
    random = np.random.default_rng(5)
    found = household.apply(
        speech,
        how,
        VOICE,
        typical_power=0.01,
        acoustics=household.Acoustics([response], []),
        random=random,
        dry=dry,
    )
    return found, random.random()


@pytest.mark.parametrize(
    "how", [QUIET, household.Condition(0, np.zeros(6), -6.0, household.COLOURED_NOISE, -10.0, 0)]
)
def test_what_is_heard_does_not_depend_on_whether_dry_speech_is_wanted(how):
    (alone, nothing), after = heard(how, dry=False)
    (beside, dry), after_both = heard(how, dry=True)
    assert nothing is None and dry is not None and dry.mel.shape[1] == alone.shape[1]
    np.testing.assert_array_equal(alone, beside)
    assert after == after_both


def test_dry_speech_has_no_room():
    (_, dry), _ = heard(QUIET, dry=True)
    (echo, also_dry), _ = heard(
        household.Condition(0, np.zeros(6), 0.0, household.NO_NOISE, -20.0, None), dry=True
    )
    np.testing.assert_array_equal(dry.mel, also_dry.mel)
    # The echo goes on when the voice has ended.
    assert len(echo) > len(dry.mel) or np.abs(echo - dry.mel[: len(echo)]).mean() > 0.02
