"""How a network does on speakers that it does not learn from, after each epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edge.inference import features
from training.data import batches
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.evaluate import metrics


class Judge:
    """Measures a network on speakers that it does not learn from, with the device's own way of cutting."""

    def __init__(self, clips: list[Clip], labels: tuple[str, ...], sounds: Sounds, limit: int = 360) -> None:
        self._labels = labels
        step = max(1, len(clips) // limit)
        self._truth: list[int] = []
        self._owner: list[int] = []
        mels = []
        for clip in clips[::step]:
            for window in features.windows(features.trim(features.to_float(sounds[clip.path]))):
                mels.append(features.log_mel(window))
                self._owner.append(len(self._truth))
            self._truth.append(labels.index(clip.label))
        order = sorted(range(len(mels)), key=lambda index: mels[index].shape[0])
        self._groups = [order[start : start + 16] for start in range(0, len(order), 16)]
        self._batches = [batches.pad([mels[index] for index in group]) for group in self._groups]

    def __call__(self, model: Any) -> dict[str, float]:
        """Accuracy, macro F1, UAR and loss."""
        total = np.zeros((len(self._truth), len(self._labels)))
        for group, (mel, mask) in zip(self._groups, self._batches, strict=True):
            logits = keras.ops.convert_to_numpy(model.predict_on_batch((mel, mask)))
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            np.add.at(total, [self._owner[index] for index in group], shares)
        total /= total.sum(axis=1, keepdims=True)
        truth = np.array(self._truth)
        found = metrics.summary(total, truth, self._labels)
        loss = float(-np.log(np.maximum(total[np.arange(len(truth)), truth], 1e-9)).mean())
        return {key: round(found[key], 4) for key in ("accuracy", "macro_f1", "uar")} | {
            "loss": round(loss, 4)
        }

    def distance(self, model: Any) -> dict[str, float]:
        """Mean of what a model says its errors are (`training/fit/distillation.py`), each window alike."""
        errors = [keras.ops.convert_to_numpy(model.predict_on_batch(batch)) for batch in self._batches]
        return {"loss": round(float(np.concatenate(errors).mean()), 4)}
