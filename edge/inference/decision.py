"""From an utterance in relation to the baseline to a label, probabilities and an arousal of -1 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Relative, log_odds
from edge.inference.relative_head import RelativeHead
from edge.protocol import LABELS, UNCERTAIN


@dataclass(frozen=True, slots=True)
class Decision:
    """What is published about one utterance: label, confidence and arousal."""

    event_type: str
    """One of `LABELS`, or `uncertain`: an emotion, but which one is not clear."""
    confidence: float
    """Probability of `event_type`; where it is `uncertain`, of the most likely label."""
    probabilities: NDArray[np.float64]
    """`[7]`, in the order of `LABELS`, summing to 1; calibrated where 85 % of all utterances are neutral."""
    arousal: float
    """-1 (far calmer than is usual here) through 0 (as usual) to 1 (far more agitated)."""


def decide(found: Relative, head: RelativeHead) -> Decision:
    """Decide one utterance by the operating point of a bundle's head.

    Example: `decide(baseline.relative(outputs), bundle.manifest.relative)`.
    """
    rule, evidence = head.decision, evidence_of(found, head)
    emotional = 1.0 / (1.0 + math.exp(min(60.0, max(-60.0, -(rule.slope * evidence + rule.offset)))))
    probabilities = np.empty(len(LABELS))
    probabilities[0] = 1.0 - emotional
    probabilities[1:] = emotional * _softmax(found.logits[1:] / rule.temperature)
    best = 1 + int(found.logits[1:].argmax())
    if score(found, head) >= rule.threshold:
        event_type, confidence = LABELS[best], float(probabilities[best])
    elif emotional < 0.5:
        event_type, confidence = LABELS[0], float(probabilities[0])
    else:
        event_type, confidence = UNCERTAIN, float(probabilities.max())
    return Decision(event_type, confidence, probabilities, arousal_of(found, head))


def evidence_of(found: Relative, head: RelativeHead) -> float:
    """Return the log odds of any emotion against `neutral`, scaled as in a room of typical spread.

    What a room adds to all its utterances is not yet told from an emotion while little has been heard there, so less
    is taken for evidence then.
    """
    rule, spread = head.decision, head.baseline.spread
    ratio = float(found.evidence_spread**rule.spread_power)
    scaled = log_odds(found.logits) + (rule.threshold - spread.evidence_median) * (1.0 - ratio)
    return scaled - rule.caution * found.unsure


def score(found: Relative, head: RelativeHead) -> float:
    """Return what is compared with the threshold: the evidence of any emotion, less how unclear its label is."""
    share = float(_softmax(found.logits[1:]).max())
    return evidence_of(found, head) + head.decision.label_weight * math.log(share)


def scaled_arousal(found: Relative, head: RelativeHead) -> float:
    """Return relative arousal scaled as in a room of typical spread; not bounded."""
    return found.arousal / float(found.arousal_spread**head.arousal_scale.spread_power)


def arousal_of(found: Relative, head: RelativeHead) -> float:
    """Map relative arousal to -1..1 by the scale of a bundle's head."""
    arousal, scale = scaled_arousal(found, head), head.arousal_scale
    return min(1.0, arousal / scale.high) if arousal >= 0 else -min(1.0, arousal / scale.low)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.exp(logits - logits.max())
    shares /= shares.sum()
    return shares
