"""Corruptions of test speech: noise and impulse responses that no training uses; seeded, the same for every model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.util.errors import UserError
from training.augment import transforms
from training.data.corpora import impulse_responses, noise
from training.data.recordings import Sounds

Float = NDArray[np.float32]
Change = Callable[[Float, int], Float]
SNRS_DB = (20, 10, 5, 0)


def noisy(data: Path, snr_db: float, sounds: Sounds, seed: int = 1) -> Change:
    """Return a function that adds a random stretch of recorded evaluation noise at this signal-to-noise ratio.

    Raises `UserError` where there are no noise recordings.
    """
    paths = noise.evaluation_files(data)
    if not paths:
        raise UserError(
            f"{data / 'noise'} holds none of {', '.join(noise.EVALUATION)}: no noise to evaluate with"
        )

    def change(speech: Float, index: int) -> Float:
        random = np.random.default_rng([seed, index])
        stretch = np.zeros(speech.size, np.float32)
        # Some recordings have digital silence in them: another stretch then.
        for _ in range(20):
            stretch = transforms.cut(
                features.to_float(sounds[paths[int(random.integers(len(paths)))]]), speech.size, random
            )
            if float(np.mean(np.square(stretch))) > 1e-10:
                break
        return transforms.add_noise(speech, stretch, snr_db)

    return change


def rooms(data: Path) -> dict[str, Change]:
    """Return, by name, functions that convolve speech with each measured impulse response of `rooms/`.

    Raises `UserError` where there is none.
    """
    return {name: _room(response) for name, response in impulse_responses.evaluation(data).items()}


def _room(response: Float) -> Change:
    def change(speech: Float, index: int) -> Float:
        return transforms.convolve(np.concatenate([speech, np.zeros(4000, np.float32)]), response)

    return change
