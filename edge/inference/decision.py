"""From an utterance in relation to the baseline to a label, probabilities and an arousal of -1 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Relative
from edge.inference.bundle import RelativeHead
from edge.protocol.messages import LABELS, UNCERTAIN


@dataclass(frozen=True, slots=True)
class Decision:
    """What is published of an utterance."""

    event_type: str
    """One of `LABELS`, or `uncertain`: an emotion, but which one is not clear."""
    confidence: float
    """Probability of `event_type`; where it is `uncertain`, of the most likely emotion."""
    probabilities: NDArray[np.float64]
    """`[7]`, in the order of `LABELS`, summing to 1; calibrated where 85 % of all utterances are neutral."""
    arousal: float
    """-1 (far calmer than is usual here) through 0 (as usual) to 1 (far more agitated)."""


def decide(found: Relative, head: RelativeHead) -> Decision:
    """Decide one utterance by the operating point of a bundle's head.

    Example: `decide(baseline.relative(outputs), bundle.manifest.relative)`.
    """
    rule = head.decision
    exponent = min(60.0, max(-60.0, -(rule.slope * found.evidence + rule.offset)))
    emotional = 1.0 / (1.0 + math.exp(exponent))
    probabilities = np.empty(len(LABELS))
    probabilities[0] = 1.0 - emotional
    probabilities[1:] = emotional * _softmax(found.logits[1:] / rule.temperature)
    best = 1 + int(probabilities[1:].argmax())
    if found.evidence < rule.threshold:
        event_type, confidence = LABELS[0], float(probabilities[0])
    else:
        clear = float(_softmax(found.logits[1:]).max()) >= rule.name_share
        event_type, confidence = LABELS[best] if clear else UNCERTAIN, float(probabilities[best])
    return Decision(event_type, confidence, probabilities, arousal_of(found.arousal, head))


def arousal_of(relative: float, head: RelativeHead) -> float:
    """Map a relative arousal, in deviations of the room, to -1..1 by the scale of a bundle's head."""
    scale = head.arousal_scale
    if relative >= 0:
        return min(1.0, relative / scale.high)
    return -min(1.0, relative / scale.low)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.exp(logits - logits.max())
    shares /= shares.sum()
    return shares
