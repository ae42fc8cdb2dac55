"""Sound that the measurements play: recorded speech, and the noise floor of a quiet room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.audio import files
from provisioning.demo import playback_dirs

RATE = 16_000


def speech(seconds: float) -> NDArray[np.int16]:
    """Recorded speech without long pauses, repeated to that length, 16 kHz."""
    clips = [np.concatenate(list(files.read(p))) for p in sorted(playback_dirs.SPEECH.glob("librivox/*.wav"))]
    whole = np.concatenate(clips)
    if whole.dtype != np.int16:
        whole = (whole * 32767).astype(np.int16)
    return np.resize(whole, int(seconds * RATE)).astype(np.int16)


def quiet(seconds: float) -> NDArray[np.int16]:
    """The noise floor of a real room, 60 dB below full scale, 16 kHz."""
    return np.random.default_rng(1).normal(0, 20, int(seconds * RATE)).astype(np.int16)
