"""Protocol `episodes`: ten utterances, six of one emotion and four neutral, after an ordinary hour: are they noticed?

Found means that an episode (`edge.util.episodes`) has started before the tenth utterance has ended. False episodes are
counted in streams of neutral speech of the same set. Beside the shipped thresholds, the curve of both over thresholds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.inference.relative_head import HIGH_AROUSAL
from edge.protocol import LABELS
from edge.util.episodes import OFF, ON, UTTERANCES
from training.evaluate.household import rooms
from training.evaluate.household.ordinary import SYNTHETIC
from training.metrics import intervals, replay
from training.metrics.predictions import Predictions

BEFORE: Final = 60
EMOTIONAL: Final = 6
LENGTH: Final = 10
ROOMS: Final = 60
"""Episodes of each label, and streams of ordinary speech."""
STREAM: Final = 320
SEED: Final = 4
THRESHOLDS: Final = np.arange(0.005, 1.0, 0.005)


def run(bundle: Bundle, found: Predictions, ordinary: Predictions | None = None) -> list[dict[str, Any]]:
    """Measure the share of simulated episodes that are found against false ones; one JSON object per set.

    With `ordinary`, speech that was not acted, false episodes are counted in its sources, too (in every object alike).
    Raises `BundleError` for a bundle with an absolute head, `UserError` where no set has neutral and agitated speech.
    """
    head = replay.head_of(bundle)
    usual = None if ordinary is None else _in_ordinary(head, ordinary)
    return [_one(bundle, head, found, room) | {"ordinary": usual} for room in rooms.sets(found, HIGH_AROUSAL)]


def _in_ordinary(head: Any, ordinary: Predictions) -> dict[str, Any]:
    """False episodes in 1,000 utterances by source, as shipped; the mean leaves synthetic voices out."""
    owner = np.array(ordinary.rooms)
    sources = {
        str(name): _false(_quiet(head, ordinary, np.flatnonzero(owner == name))[1], ON)
        for name in np.unique(owner)
    }
    people = [rate for name, rate in sources.items() if name != SYNTHETIC]
    return {"false_per_1000": round(float(np.mean(people)), 2) if people else None, "sources": sources}


def _quiet(
    head: Any, found: Predictions, places: NDArray[np.intp]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Streams of ordinary utterances, drawn from these places: their first `BEFORE`, and what follows."""
    streams = [_means(head, found, _draw(places, STREAM, [SEED, 0, n])) for n in range(ROOMS)]
    return [means[:BEFORE] for means in streams], [means[BEFORE:] for means in streams]


def _one(bundle: Bundle, head: Any, found: Predictions, room: str) -> dict[str, Any]:
    own = np.array(found.rooms) == room
    neutral = np.flatnonzero(own & (found.truth <= 0))
    first, quiet = _quiet(head, found, neutral)
    tracks: dict[str, list[NDArray[np.float64]]] = {}
    speakers: list[str] = []
    for label in range(1, len(LABELS)):
        emotional = np.flatnonzero(own & (found.truth == label))
        for number in range(ROOMS if emotional.size else 0):
            places, speaker = _episode(found, neutral, emotional, [SEED, label, number])
            tracks.setdefault(LABELS[label], []).append(_means(head, found, places)[BEFORE:])
            speakers += [speaker] if LABELS[label] in HIGH_AROUSAL else []
    agitated = [track for name, held in tracks.items() if name in HIGH_AROUSAL for track in held]
    curve = [
        {"threshold": round(float(t), 3), "found": _found(agitated, t), "false_per_1000": _false(quiet, t)}
        for t in THRESHOLDS
    ]
    noticed = np.array([bool((track >= ON).any()) for track in agitated])
    low, high = intervals.of_share(noticed, np.array(speakers))
    return {
        "protocol": "episodes", "bundle": bundle.full_name, "set": room, "n": len(agitated),
        "threshold": ON, "utterances": UTTERANCES, "found": float(noticed.mean()), "low_95": low, "high_95": high,
        "false_per_1000": _false(quiet, ON), "false_at_start": round(_false(first, ON) * BEFORE / 1000, 2),
        "found_at_1": _at(curve, 1.0), "found_at_5": _at(curve, 5.0),
        "by_emotion": {name: _found(held, ON) for name, held in tracks.items()}, "curve": curve,
    }  # fmt: skip


def _draw(places: NDArray[np.intp], count: int, seed: list[int]) -> NDArray[np.intp]:
    return np.random.default_rng(seed).choice(places, count)


def _episode(
    found: Predictions, neutral: NDArray[np.intp], emotional: NDArray[np.intp], seed: list[int]
) -> tuple[NDArray[np.intp], str]:
    """An ordinary hour and ten utterances of which six are one speaker's of one emotion."""
    random = np.random.default_rng(seed)
    names = np.array(found.speakers)[emotional]
    speaker = str(random.choice(np.unique(names)))
    spoken = random.choice(emotional[names == speaker], EMOTIONAL)
    ten = random.permutation(np.concatenate([spoken, random.choice(neutral, LENGTH - EMOTIONAL)]))
    return np.concatenate([random.choice(neutral, BEFORE), ten]), speaker


def _means(head: Any, found: Predictions, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """Exponential mean of the published arousal, `[n]`; utterances of too little speech have none."""
    made = replay.replay(head, found.outputs[places], found.enough_speech[places])
    means, mean = np.empty(len(places)), 0.0
    for index, (arousal, enough) in enumerate(zip(made.arousal, found.enough_speech[places], strict=True)):
        if enough:
            mean += (arousal - mean) / UTTERANCES
        means[index] = mean
    return means


def _found(tracks: list[NDArray[np.float64]], threshold: float) -> float:
    return float(np.mean([bool((track >= threshold).any()) for track in tracks])) if tracks else 0.0


def _false(streams: list[NDArray[np.float64]], threshold: float) -> float:
    """Starts in 1,000 utterances; an episode ends below `OFF` of the threshold's share."""
    starts = total = 0
    for means in streams:
        on = False
        for mean in means:
            starts += not on and mean >= threshold
            on = mean >= threshold or (on and mean >= threshold * OFF / ON)
        total += len(means)
    return round(1000 * float(starts) / total, 2)


def _at(curve: list[dict[str, Any]], rate: float) -> float:
    """Most found where no more false episodes than `rate` in 1,000 start."""
    return max((float(one["found"]) for one in curve if one["false_per_1000"] <= rate), default=0.0)
