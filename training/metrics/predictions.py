"""What a bundle says about clips, through the interpreter and the code that the device uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.inference import features
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.protocol.messages import LABELS
from edge.util.errors import UserError
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Of `n` clips: logits before the temperature, embeddings, true labels, speakers, rooms and file names."""

    logits: NDArray[np.float64]
    embeddings: NDArray[np.float64]
    truth: NDArray[np.int64]
    speakers: tuple[str, ...]
    rooms: tuple[str, ...]
    """Where a clip was recorded: each corpus is one room."""
    names: tuple[str, ...]

    def probabilities(self, temperature: float) -> NDArray[np.float64]:
        """Calibrated probabilities `[n, labels]`."""
        return softmax(self.logits / temperature)

    def take(self, places: NDArray[np.intp]) -> Predictions:
        """Those of the clips at the places, in that order."""
        chosen = [int(place) for place in places]
        return Predictions(
            self.logits[chosen], self.embeddings[chosen], self.truth[chosen],
            *(tuple(values[place] for place in chosen) for values in (self.speakers, self.rooms, self.names)),
        )  # fmt: skip


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    shares: NDArray[np.float64] = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares


def predict(
    bundle: Bundle,
    clips: Sequence[Clip],
    sounds: Sounds,
    title: str,
    *,
    change: Callable[[Float, int], Float] | None = None,
    labels: Sequence[str] = LABELS,
    quiet: bool = False,
) -> Predictions:
    """Runs every clip. `change` may spoil the samples (noise, a room) and is given the clip's place, too.

    A recording that cannot be read or is shorter than 30 ms is named in the log and left out. Raises `UserError` where
    most or all are.
    """
    spec = bundle.manifest.features
    clips = sounds.readable(clips, f"{title}, reading", quiet)
    clips = [
        clip
        for clip in clips
        if features.trim(features.to_float(sounds[clip.path]), spec).size >= features.MIN_SAMPLES
    ]
    if not clips:
        raise UserError(f"{title}: no recording that can be classified")
    classifier = Classifier(bundle)
    logits, embeddings = [], []
    for index, clip in enumerate(tqdm(clips, desc=title, unit="clip", disable=quiet or None)):
        speech = features.trim(features.to_float(sounds[clip.path]), spec)
        if change is not None:
            # Trimmed again, as the device would: an echo is longer than the speech.
            speech = features.trim(change(speech, index), spec)
        found: tuple[Any, Any] = classifier.outputs(speech)
        logits.append(found[0])
        embeddings.append(found[1])
    return Predictions(
        np.array(logits), np.array(embeddings), np.array([labels.index(clip.label) for clip in clips], np.int64),
        tuple(clip.speaker for clip in clips), tuple(clip.corpus for clip in clips),
        tuple(str(clip.path) for clip in clips),
    )  # fmt: skip
