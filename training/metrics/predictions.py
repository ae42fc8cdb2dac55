"""Outputs of a bundle for labelled clips, through the interpreter and the code that the device uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.data.corpora.clip import Clip
from training.data.progress import Progress
from training.data.recordings import Sounds

Float = NDArray[np.float32]
ORDINARY = -1
"""In place of a label's index: unlabelled ordinary speech."""


@dataclass(frozen=True)
class Predictions:
    """Outputs and embeddings of `n` clips, with true label, speaker, room, name and enough-speech flag of each."""

    outputs: NDArray[np.float64]
    """`[n, labels]` logits of an absolute head, with a last column of arousal of a relative one; not calibrated."""
    embeddings: NDArray[np.float64]
    """`[n, size]`."""
    truth: NDArray[np.int64]
    """`[n]`: index into the labels; `ORDINARY` where there is none."""
    speakers: tuple[str, ...]
    rooms: tuple[str, ...]
    """Where a clip was recorded: each corpus is one room."""
    names: tuple[str, ...]
    enough_speech: NDArray[np.bool_]
    """`[n]`: whether there was speech enough for an answer."""
    speech_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """`[n]`: length of the speech; empty where recordings were not cut by the device's parts."""
    label_count: int = len(LABELS)
    """Labels of the bundle: those of a protocol may be others than the device's."""

    @property
    def logits(self) -> NDArray[np.float64]:
        """The outputs for the labels, without arousal: float64 `[n, labels]`."""
        return self.outputs[:, : self.label_count]

    def take(self, places: NDArray[np.intp]) -> Predictions:
        """Return the predictions of the clips at these indices, int64 `[k]`, in that order."""
        chosen = [int(place) for place in places]
        return Predictions(
            self.outputs[chosen], self.embeddings[chosen], self.truth[chosen],
            tuple(self.speakers[place] for place in chosen), tuple(self.rooms[place] for place in chosen),
            tuple(self.names[place] for place in chosen), self.enough_speech[chosen],
            self.speech_ms[chosen] if self.speech_ms.size else self.speech_ms, self.label_count,
        )  # fmt: skip


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert logits of float64 `[..., labels]` to probabilities over the last axis; keeps the shape."""
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
    """Classify clips with a bundle as wholes. Raises `UserError` where most or all recordings cannot be used.

    `change` may corrupt the samples, float32 `[n]` at 16 kHz, and is passed the clip's index, too. A recording that
    cannot be read or is shorter than 30 ms is named in the log and left out.
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
    outputs, embeddings, enough_speech = [], [], []
    for index, clip in enumerate(Progress(clips, title, "clip", quiet=quiet)):
        speech = features.trim(features.to_float(sounds[clip.path]), spec)
        if change is not None:
            # Trimmed again, as the device would: an echo is longer than the speech.
            speech = features.trim(change(speech, index), spec)
        found = classifier.outputs(speech)
        outputs.append(found[0])
        embeddings.append(found[1])
        begin, end = features.speech_bounds(speech, spec, margin_ms=0)
        enough_speech.append((end - begin) / 16 >= bundle.manifest.min_ms)
    return Predictions(
        np.array(outputs), np.array(embeddings), np.array([labels.index(clip.label) for clip in clips], np.int64),
        tuple(clip.speaker for clip in clips), tuple(clip.corpus for clip in clips),
        tuple(str(clip.path) for clip in clips), np.array(enough_speech), label_count=len(labels),
    )  # fmt: skip
