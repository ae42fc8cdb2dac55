"""Whether somebody speaks: one probability for each block of 512 samples (32 ms at 16 kHz).

Silero's network as a TFLite file (built by `training/vad`) is the detector; WebRTC's, which needs no network but takes
many noises for speech, stands in where the interpreter or the file is missing, or where the configuration asks for it.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np

from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.config.settings import Config
from edge.inference.interpreter import Interpreter
from edge.util.errors import UserError

log = logging.getLogger(__name__)

SILERO: Final = Path(__file__).with_name("silero_vad.tflite")
CONTEXT: Final = 64
STATE: Final = 256


class VadError(UserError):
    """There is no voice activity detector; the text says the remedy."""


class Vad(Protocol):
    """Has a memory: give it the blocks of one room in order. Not thread-safe."""

    @property
    def engine(self) -> Literal["silero", "webrtc"]:
        """Which one it is."""

    def probability(self, block: Samples) -> float:
        """Probability of speech, 0..1, of int16 `[512]`. Raises `ValueError` for any other shape."""

    def reset(self) -> None:
        """Forgets what was heard."""


class SileroVad:
    """Silero's network. Raises `VadError` when the file is missing and what `Interpreter` raises."""

    engine: Literal["silero"] = "silero"

    def __init__(self, path: Path = SILERO) -> None:
        if not path.is_file():
            raise VadError(f"{path} is missing; install roomtone again, or build it: roomtone train vad")
        self._interpreter = Interpreter(path, threads=1)
        self.reset()

    def reset(self) -> None:
        """Forgets what was heard."""
        self._samples = np.zeros((1, CONTEXT + BLOCK), np.float32)
        self._state = np.zeros((1, STATE), np.float32)

    def probability(self, block: Samples) -> float:
        """See `Vad.probability`."""
        _check(block)
        samples = self._samples
        samples[0, :CONTEXT] = samples[0, BLOCK:]
        np.multiply(block, np.float32(1 / 32768), out=samples[0, CONTEXT:])
        output = self._interpreter.run({"samples": samples, "state": self._state})
        self._state = output["state_next"]
        return float(output["probability"][0, 0])


class WebrtcVad:
    """WebRTC's detector, which says yes or no for 10 ms: the share of yes among the last 9 is the probability.

    Raises `VadError` when the library is missing.
    """

    engine: Literal["webrtc"] = "webrtc"
    STEP: Final = RATE // 100
    VOTES: Final = 9

    def __init__(self, aggressiveness: int = 2) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise VadError(
                f"WebRTC's voice activity detector is missing ({error}): pip install webrtcvad-wheels"
            ) from None
        self._library: Any = webrtcvad
        self._aggressiveness = aggressiveness
        self.reset()

    def reset(self) -> None:
        """Forgets what was heard."""
        self._detector = self._library.Vad(self._aggressiveness)
        self._rest = np.zeros(0, np.int16)
        self._votes: deque[bool] = deque([False] * self.VOTES, maxlen=self.VOTES)

    def probability(self, block: Samples) -> float:
        """See `Vad.probability`."""
        _check(block)
        # 512 is not a multiple of 160: what is left over opens the next block.
        pending = np.concatenate((self._rest, block))
        whole = pending.size // self.STEP * self.STEP
        for start in range(0, whole, self.STEP):
            self._votes.append(self._detector.is_speech(pending[start : start + self.STEP].tobytes(), RATE))
        self._rest = pending[whole:]
        return sum(self._votes) / self.VOTES


def make_vad(config: Config) -> Vad:
    """The detector that is configured, or WebRTC's where that one cannot run. Raises `VadError` when none can."""
    if config.vad.engine == "webrtc":
        return WebrtcVad()
    try:
        return SileroVad()
    except UserError as error:
        try:
            fallback = WebrtcVad()
        except VadError as second:
            raise VadError(f"{error}; and as fallback: {second}") from None
        log.warning("WebRTC's voice activity detector stands in: %s", error)
        return fallback


def _check(block: Samples) -> None:
    if block.dtype != np.int16 or block.shape != (BLOCK,):
        raise ValueError(f"a block is int16 [{BLOCK}], not {block.dtype} {list(block.shape)}")
