"""Measured impulse responses of real rooms: those that training may use, and those kept for evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.util.errors import UserError
from training.data.recordings import RATE, Sounds

TRAINING = "rooms-train"
EVALUATION = "rooms"
LONGEST_S = 2.5


def training(data: Path) -> list[NDArray[np.float32]]:
    """Read the responses of `rooms-train/`, float32 `[n]` at 16 kHz; an empty list where there are none."""
    return list(_read(data / TRAINING).values())


def evaluation(data: Path) -> dict[str, NDArray[np.float32]]:
    """Read the responses of `rooms/`, float32 `[n]` at 16 kHz, by file name without suffix.

    Each begins at its direct sound, has a peak of 1, and is cut to `LONGEST_S`. Raises `UserError`
    where there are none, or for a file that cannot be read.
    """
    found = _read(data / EVALUATION)
    if not found:
        raise UserError(f"{data / EVALUATION} holds no impulse response (.wav, .flac)")
    return found


def _read(folder: Path) -> dict[str, NDArray[np.float32]]:
    sounds = Sounds()
    paths = sorted([*folder.glob("*.wav"), *folder.glob("*.flac")])
    found = {}
    for path in paths:
        response = features.to_float(sounds[path])
        # The direct sound comes first and keeps its level: what is varied is echo, not loudness.
        response = (
            response[int(np.abs(response).argmax()) :][: int(LONGEST_S * RATE)] if response.size else response
        )
        peak = np.abs(response).max(initial=0.0)
        if not peak:
            raise UserError(f"{path}: an impulse response of silence")
        found[path.stem] = response / peak
    return found
