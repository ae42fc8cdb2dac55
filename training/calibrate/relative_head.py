"""Constants of a relative head: baseline, operating point, calibrated probabilities and the scale of arousal.

All are chosen on out-of-fold predictions of the fitting speakers and on the part of ordinary speech that may be fitted,
through the device's own baseline, causally. One operating point serves all rooms: the score at which the recipe's
`ordinary_share` of ordinary utterances (mean over sources, after 20 utterances of a room) is called an emotion, or the
one above it at which `kept_share` of the neutral utterances of the speakers of `calibrate` are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import arousal_odds, log_odds
from edge.inference.relative_head import (
    ArousalOdds,
    ArousalScale,
    BaselineSpec,
    DecisionSpec,
    RelativeHead,
    SpreadSpec,
)
from edge.protocol import LABELS
from edge.util.episodes import Episodes
from edge.util.errors import UserError
from training.calibrate import caution
from training.fit.out_of_fold import OutOfFold
from training.fit.relative import FIELD
from training.metrics import replay
from training.metrics.predictions import softmax
from training.recipes.recipe import Relative

Float = NDArray[np.float64]
DEFAULT: Final = Relative()
NEUTRAL_SHARE: Final = 0.85
"""Of the utterances of a household; what published probabilities assume."""
WARM_UP: Final = 20
"""Utterances after which a baseline is taken to be good."""
FEWEST: Final = 20
"""Ordinary utterances below which a room says nothing."""
FALSE_EPISODES: Final = 0.001
"""Starts of an episode per ordinary utterance that the scale of arousal allows."""
LENGTH: Final = 1000
"""Utterances of one simulated stream."""
LABEL_WEIGHT: Final = 1.0
"""How far the clearness of a label counts in the score that is compared with the threshold."""
SPREAD_POWER: Final = 1.5
AROUSAL_SPREAD_POWER: Final = 1.0
AROUSAL_ODDS: Final = 2.0
"""Share of the labels' log odds in relative arousal, in deviations of ordinary speech, beside the arousal's own 1."""
CALM_SHARE: Final = 0.7
"""Of the relative arousal that becomes 1: so far below the usual becomes -1."""
ROUNDS: Final = 4
SEED: Final = 3


@dataclass(frozen=True)
class _Stream:
    """The decisions of one simulated room, after the warm-up."""

    score: Float
    evidence: Float
    arousal: Float
    logits: Float
    labels: NDArray[np.int64]
    """Published; -1: uncertain."""
    truth: NDArray[np.int64]


def initial(
    left_out: OutOfFold, bias: Sequence[float], output: str, *, how: Relative = DEFAULT
) -> RelativeHead:
    """Return a head of which only the baseline is chosen: enough to ask a graph for its outputs.

    Arguments as for `choose`. Raises `UserError` without ordinary speech.
    """
    return RelativeHead(
        arousal=output, baseline=_baseline(left_out, _rooms(left_out), bias, how.prior),
        arousal_scale=ArousalScale(low=-CALM_SHARE, high=1.0, spread_power=AROUSAL_SPREAD_POWER),
        decision=DecisionSpec(
            threshold=0.0, slope=1.0, offset=-2.0, temperature=1.0, label_weight=LABEL_WEIGHT,
            spread_power=SPREAD_POWER,
        ),
    )  # fmt: skip


def choose(
    left_out: OutOfFold,
    bias: Sequence[float],
    origin: Sequence[float] | None,
    output: str,
    unseen: OutOfFold | None = None,
    *,
    how: Relative = DEFAULT,
) -> RelativeHead:
    """Choose all constants. Raises `UserError` without ordinary speech.

    `bias` `[7]` is that of relative logits, `origin` `[8]` are the graph's outputs of ordinary speech (None: those of
    the predictions), `output` is the name of its arousal output. `unseen` are predictions of speakers that neither the
    encoder nor the head was fitted to; they stand for their rooms in place of those of `left_out`, whose head has not
    heard the speakers, but whose encoder may have. `how` has the shares of the operating point, and the
    prior of the baseline.
    """
    if unseen is not None:
        left_out = left_out.with_rooms_of(unseen)
    rooms = _rooms(left_out)
    head = initial(left_out, bias, output, how=how)
    acted = [name for name in rooms if (left_out.truth[left_out.rooms == name] > 0).sum() >= FEWEST]
    strict = [name for name in acted if unseen is not None and name in unseen.rooms]
    for _ in range(ROUNDS):
        # The threshold scales the evidence of a room, so it is found by going round.
        talk = [_stream(left_out, head, name, 1.0) for name in rooms]
        threshold = float(np.mean([np.quantile(one.score, 1 - how.ordinary_share) for one in talk]))
        for name in strict:
            one = _stream(left_out, head, name, NEUTRAL_SHARE)
            threshold = max(threshold, float(np.quantile(one.score[one.truth == 0], how.kept_share)))
        decision = msgspec.structs.replace(head.decision, threshold=round(threshold, 4))
        head = msgspec.structs.replace(head, decision=decision)
        careful = caution.choose(left_out, _beginning_at(head, origin), strict, how.kept_share)
        decision = msgspec.structs.replace(head.decision, caution=careful)
        head = msgspec.structs.replace(head, decision=decision)
    # Labels of the field are doubtful and count little in the head: no probability is calibrated on them.
    clear = [name for name in rooms if not name.startswith(f"{FIELD}/")] or rooms
    homes = [_stream(left_out, head, name, NEUTRAL_SHARE) for name in acted if name in clear]
    slope, offset = _calibrated([one for name, one in zip(rooms, talk, strict=True) if name in clear], homes)
    high = _scale([one.arousal for one in talk])
    head = _beginning_at(head, origin)
    return msgspec.structs.replace(
        head,
        decision=msgspec.structs.replace(
            head.decision, slope=slope, offset=offset, temperature=_temperature(homes)
        ),
        arousal_scale=msgspec.structs.replace(
            head.arousal_scale, low=-round(CALM_SHARE * high, 4), high=high
        ),
    )


def _beginning_at(head: RelativeHead, origin: Sequence[float] | None) -> RelativeHead:
    """The head with the origin of the graph, at which the rooms of unseen speakers begin."""
    if origin is None:
        return head
    return msgspec.structs.replace(
        head, baseline=msgspec.structs.replace(head.baseline, origin=tuple(map(float, origin)))
    )


def _rooms(left_out: OutOfFold) -> list[str]:
    """The rooms with ordinary speech enough to choose constants on. Raises `UserError` where there is none."""
    rooms = [name for name in np.unique(left_out.rooms) if _ordinary(left_out, name).sum() >= FEWEST]
    if not rooms:
        raise UserError("no room of ordinary speech is among the out-of-fold predictions")
    return rooms


def _ordinary(left_out: OutOfFold, room: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (left_out.rooms == room) & (left_out.truth <= 0)
    return found


def _baseline(left_out: OutOfFold, rooms: Sequence[str], bias: Sequence[float], prior: float) -> BaselineSpec:
    """Typical deviations of ordinary speech around its own room's mean; the origin is that of the predictions."""
    scatter, means, medians, below, arousals, odds = [], [], [], [], [], []
    for name in rooms:
        outputs = left_out.logits[_ordinary(left_out, name)]
        away = outputs - outputs.mean(axis=0)
        logits = away[:, :7] + np.asarray(bias)
        evidence = np.array([log_odds(one) for one in logits])
        median = float(np.median(evidence))
        means.append(outputs.mean(axis=0))
        scatter.append(outputs.std(axis=0))
        medians.append(median)
        below.append(float((median - evidence[evidence < median]).mean()))
        arousals.append(away[:, 7])
        odds.append(np.array([arousal_odds(one) for one in logits]))
    found = ArousalOdds(
        weight=round(AROUSAL_ODDS * float(np.mean([one.std() for one in arousals]))
        / float(np.mean([one.std() for one in odds])), 4),
        median=round(float(np.mean([np.median(one) for one in odds])), 4),
    )  # fmt: skip
    relative = [a + found.weight * (o - found.median) for a, o in zip(arousals, odds, strict=True)]
    spread = SpreadSpec(
        evidence_median=float(np.mean(medians)), evidence_below=float(np.mean(below)),
        arousal_below=float(np.mean([-one[one < 0].mean() for one in relative])),
        prior=20.0, memory=200.0, least=0.6, most=1.6,
    )  # fmt: skip
    return BaselineSpec(
        origin=tuple(np.mean(means, axis=0).tolist()), bias=tuple(float(value) for value in bias),
        scatter=tuple(np.mean(scatter, axis=0).tolist()), prior=prior, memory=300.0, step_limit=1.0, spread=spread,
        arousal_odds=found,
    )  # fmt: skip


def _stream(left_out: OutOfFold, head: RelativeHead, room: str, neutral_share: float) -> _Stream:
    """Utterances of a room in random order, of which that share is ordinary; emotions are equally frequent."""
    random = np.random.default_rng([SEED, len(room), round(100 * neutral_share)])
    ordinary = np.flatnonzero(_ordinary(left_out, room))
    places = random.choice(ordinary, LENGTH + WARM_UP)
    emotional = np.flatnonzero((left_out.rooms == room) & (left_out.truth > 0))
    if emotional.size and neutral_share < 1.0:
        chosen = random.random(len(places)) >= neutral_share
        labels = random.choice(np.unique(left_out.truth[emotional]), len(places))
        for place in np.flatnonzero(chosen):
            places[place] = random.choice(emotional[left_out.truth[emotional] == labels[place]])
    outputs = left_out.logits[places]
    found = replay.replay(head, outputs, np.ones(len(places), np.bool_))
    counted = slice(WARM_UP, None)
    truth = np.maximum(left_out.truth[places], 0)[counted]
    logits = np.log(np.maximum(found.balanced, 1e-12)) * head.decision.temperature
    return _Stream(
        found.score[counted],
        found.evidence[counted],
        found.relative_arousal[counted],
        logits[counted],
        found.labels[counted],
        truth,
    )


def in_household_terms(left_out: OutOfFold, head: RelativeHead) -> dict[str, dict[str, float]]:
    """Shares by room: ordinary speech `called` an emotion, and `named` and `kept` where a room has emotional speech.

    `head` must have the origin of the predictions.
    """
    found: dict[str, dict[str, float]] = {}
    for name in np.unique(left_out.rooms):
        if _ordinary(left_out, name).sum() < FEWEST:
            continue
        emotional = (left_out.truth[left_out.rooms == name] > 0).sum() >= FEWEST
        one = _stream(left_out, head, name, NEUTRAL_SHARE if emotional else 1.0)
        neutral = one.truth == 0
        if emotional:
            found[str(name)] = {
                "named": float((one.labels == one.truth)[~neutral].mean()),
                "kept": float((one.labels <= 0)[neutral].mean()),
            }
        else:
            found[str(name)] = {"called": float((one.labels > 0)[neutral].mean())}
    return found


def _calibrated(talk: Sequence[_Stream], homes: Sequence[_Stream]) -> tuple[float, float]:
    """Slope and offset of the probability of any emotion, for rooms of `NEUTRAL_SHARE` ordinary utterances."""
    from sklearn.linear_model import LogisticRegression

    evidence = np.concatenate([one.evidence for one in (*talk, *homes)])
    emotional = np.concatenate([one.truth > 0 for one in (*talk, *homes)])
    if not emotional.any():
        return 1.0, -3.0
    weights = np.where(
        emotional, (1 - NEUTRAL_SHARE) / emotional.mean(), NEUTRAL_SHARE / max(1e-9, 1 - emotional.mean())
    )
    solver = LogisticRegression(C=1e3).fit(evidence[:, None], emotional, sample_weight=weights)
    return round(max(0.05, float(solver.coef_[0, 0])), 4), round(float(solver.intercept_[0]), 4)


def _temperature(homes: Sequence[_Stream]) -> float:
    """Temperature of the six emotions among themselves with the least negative log-likelihood."""
    truth = np.concatenate([one.truth for one in homes]) if homes else np.zeros(0, np.int64)
    if not (truth > 0).any():
        return 1.0
    logits = np.concatenate([one.logits for one in homes])[truth > 0][:, 1 : len(LABELS)]
    rows, own = np.arange(int((truth > 0).sum())), truth[truth > 0] - 1
    candidates = np.exp(np.linspace(np.log(0.3), np.log(5.0), 100))
    losses = [-np.log(np.maximum(softmax(logits / t)[rows, own], 1e-12)).mean() for t in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 4)


def _scale(talk: Sequence[Float]) -> float:
    """Relative arousal that becomes 1: the least at which ordinary speech starts few enough episodes."""
    for high in np.exp(np.linspace(np.log(0.5), np.log(60.0), 180)):
        starts = 0
        for arousal in talk:
            episodes = Episodes()
            mapped = np.where(arousal >= 0, arousal / high, arousal / (CALM_SHARE * high))
            changes = [episodes.add(float(one), 0.0) for one in np.clip(mapped, -1.0, 1.0)]
            starts += sum(change is not None and not change.ended for change in changes)
        if starts <= FALSE_EPISODES * sum(map(len, talk)):
            return round(float(high), 4)
    return 60.0
