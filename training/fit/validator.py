"""Validation: metrics of a network on speakers that it is not fitted to, after each epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edge.inference import features
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.fit import batches
from training.metrics import classification as metrics
from training.metrics.predictions import softmax


class Validator:
    """Validate a network on speakers it is not fitted to, with the windows of the device and its pooling of them."""

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
        """Accuracy, macro F1, UAR and loss (mean negative log-likelihood) of `model`, whose output are logits."""
        total, counts = np.zeros((len(self._truth), len(self._labels))), np.zeros(len(self._truth))
        for group, (mel, mask) in zip(self._groups, self._batches, strict=True):
            logits = keras.ops.convert_to_numpy(model.predict_on_batch((mel, mask)))
            owners, weights = [self._owner[index] for index in group], mask.sum(axis=1)
            np.add.at(total, owners, logits * weights[:, None])
            np.add.at(counts, owners, weights)
        total = softmax(total / counts[:, None])
        truth = np.array(self._truth)
        found = metrics.summary(total, truth, self._labels)
        loss = float(-np.log(np.maximum(total[np.arange(len(truth)), truth], 1e-9)).mean())
        return {key: round(found[key], 4) for key in ("accuracy", "macro_f1", "uar")} | {
            "loss": round(loss, 4)
        }

    def distance(self, model: Any) -> dict[str, float]:
        """Mean of the errors that a distillation model outputs (`training/fit/distillation.py`), over windows."""
        errors = [keras.ops.convert_to_numpy(model.predict_on_batch(batch)) for batch in self._batches]
        return {"loss": round(float(np.concatenate(errors).mean()), 4)}
