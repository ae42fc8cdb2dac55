"""Constants of a relative head in a bundle's manifest: baseline, operating point and arousal.

`edge.inference.baseline` and `edge.inference.decision` have the formulas.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

HIGH_AROUSAL: Final = ("happy", "angry", "fearful", "surprised")
LOW_AROUSAL: Final = ("neutral", "sad")
"""Labels that are agitated and calm; `disgust` is neither."""

Finite = Annotated[float, Meta(ge=-1e6, le=1e6)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
Outputs = Annotated[tuple[Finite, ...], Meta(min_length=8, max_length=8)]
"""Seven logits in the order of `LABELS`, and the arousal."""


class SpreadSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far the calm half of ordinary speech typically varies, and how fast a room's own is learnt."""

    evidence_median: Finite
    """Typical median of the evidence of ordinary speech."""
    evidence_below: Positive
    """Typical mean distance of the lower half from it."""
    arousal_below: Positive
    """The same of relative arousal, whose median is 0."""
    prior: Positive
    """Utterances for which the typical values stand."""
    memory: Positive
    """Utterances beyond which a room's own adapt no slower."""
    least: Positive
    """Least share of the typical value that a room's own counts for."""
    most: Positive


class ArousalOdds(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the labels in relative arousal: the log odds of `HIGH_AROUSAL` against `LOW_AROUSAL`."""

    weight: Positive
    median: Finite
    """Typical median of the log odds of ordinary speech, which is subtracted."""


class BaselineSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Constants of the baseline: `edge.inference.baseline` has the formulas."""

    origin: Outputs
    """Outputs of ordinary speech in general: where every room begins."""
    bias: Annotated[tuple[Finite, ...], Meta(min_length=7, max_length=7)]
    """Added to the relative logits."""
    scatter: Annotated[tuple[Positive, ...], Meta(min_length=8, max_length=8)]
    """Typical deviation of each output of ordinary speech within one room."""
    prior: Positive
    """Utterances for which the origin stands."""
    memory: Positive
    """Utterances beyond which the location adapts no slower."""
    step_limit: Positive
    """Distance, in typical deviations, beyond which an utterance moves the location no further."""
    spread: SpreadSpec
    arousal_odds: ArousalOdds | None = None
    """None: relative arousal is that of the network's output alone."""


class DecisionSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operating point, and the calibration of probabilities: `edge.inference.decision`."""

    threshold: Finite
    """Score from which an emotion is named: evidence, and the log share of the label times `label_weight`."""
    label_weight: Annotated[float, Meta(ge=0, le=100)]
    spread_power: Annotated[float, Meta(ge=0, le=10)]
    """How much a room whose calm half varies little lowers the evidence that is asked for, and the other way round."""
    slope: Positive
    """Of the logistic function from evidence to the probability of any emotion."""
    offset: Finite
    temperature: Positive
    """Of the six emotions among themselves."""
    caution: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """Taken off the evidence while nothing is known of a room; less of it, the more has been heard there."""


class ArousalScale(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Relative arousal, scaled by the spread of the room, that becomes -1 and 1."""

    low: Annotated[float, Meta(ge=-1e6, lt=0)]
    high: Positive
    spread_power: Annotated[float, Meta(ge=0, le=10)]


class RelativeHead(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A head whose outputs are compared with a baseline of the room."""

    arousal: str
    """Name of the output `[1, 1]`; like the logits it is a linear function of the embedding."""
    baseline: BaselineSpec
    decision: DecisionSpec
    arousal_scale: ArousalScale
