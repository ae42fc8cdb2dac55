"""Voice activity detection: a speech probability for each block of 512 samples (32 ms at 16 kHz).

The detector is Silero's network as a TFLite file (built by `training/vad`). WebRTC's detector, which needs no network
but classifies many noises as speech, is used where the interpreter or the file is missing, or by configuration.
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
    """No voice activity detector is available; the text names the remedy."""


class Vad(Protocol):
    """The interface of a detector. It has a state: feed the blocks of one source in order. Not thread-safe."""

    @property
    def engine(self) -> Literal["silero", "webrtc"]:
        """The name of the engine."""

    def probability(self, block: Samples) -> float:
        """The probability of speech, 0 to 1, in a block, int16 `[512]`. Raises `ValueError` for another array."""

    def probabilities(self, blocks: Samples) -> list[float]:
        """`probability` of each of at least one block, int16 `[n, 512]`; costs less than single calls."""

    def reset(self) -> None:
        """Forget the sound so far: what follows is of another recording or a reopened microphone."""


class SileroVad:
    """Voice activity detection by Silero's network.

    Raises `VadError` when the file is missing, and `InterpreterError`.
    """

    engine: Literal["silero"] = "silero"

    def __init__(self, path: Path = SILERO) -> None:
        if not path.is_file():
            raise VadError(f"{path} is missing; install roomtone again, or build it: roomtone train vad")
        self._interpreter = Interpreter(path, threads=1)
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far: what follows is of another recording or a reopened microphone."""
        self._context = np.zeros(CONTEXT, np.float32)
        self._state = np.zeros((1, STATE), np.float32)

    def probability(self, block: Samples) -> float:
        """The probability of speech, 0 to 1, in a block, int16 `[512]`. Raises `ValueError` for another array."""
        _check(block)
        return self.probabilities(block[np.newaxis])[0]

    def probabilities(self, blocks: Samples) -> list[float]:
        """`probability` of each of at least one block, int16 `[n, 512]`; costs less than single calls."""
        samples = np.empty((len(blocks), CONTEXT + BLOCK), np.float32)
        np.multiply(blocks, np.float32(1 / 32768), out=samples[:, CONTEXT:])
        # The network is given the end of the block before, too.
        samples[0, :CONTEXT] = self._context
        samples[1:, :CONTEXT] = samples[:-1, BLOCK:]
        self._context = samples[-1, BLOCK:]
        found = []
        for at in range(len(blocks)):
            output = self._interpreter.run({"samples": samples[at : at + 1], "state": self._state})
            self._state = output["state_next"]
            found.append(output["probability"].item())
        return found


class WebrtcVad:
    """WebRTC's detector, which decides for 10 ms: the probability is the share of speech among the last 9 decisions.

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
        """Forget the sound so far: what follows is of another recording or a reopened microphone."""
        self._detector = self._library.Vad(self._aggressiveness)
        self._rest = np.zeros(0, np.int16)
        self._votes: deque[bool] = deque([False] * self.VOTES, maxlen=self.VOTES)

    def probability(self, block: Samples) -> float:
        """The probability of speech, 0 to 1, in a block, int16 `[512]`. Raises `ValueError` for another array."""
        _check(block)
        # 512 is not a multiple of 160: the remainder is processed with the next block.
        pending = np.concatenate((self._rest, block))
        whole = pending.size // self.STEP * self.STEP
        for start in range(0, whole, self.STEP):
            self._votes.append(self._detector.is_speech(pending[start : start + self.STEP].tobytes(), RATE))
        self._rest = pending[whole:]
        return sum(self._votes) / self.VOTES

    def probabilities(self, blocks: Samples) -> list[float]:
        """`probability` of each block, int16 `[n, 512]`."""
        return [self.probability(block) for block in blocks]


def make_vad(config: Config) -> Vad:
    """Create the configured detector, or WebRTC's where it cannot run. Raises `VadError` when neither can."""
    if config.vad.engine == "webrtc":
        return WebrtcVad()
    try:
        return SileroVad()
    except UserError as error:
        try:
            fallback = WebrtcVad()
        except VadError as second:
            raise VadError(f"{error}; and as fallback: {second}") from None
        log.warning("[webrtc_instead] using WebRTC's voice activity detector instead: %s", error)
        return fallback


def _check(block: Samples) -> None:
    if block.dtype != np.int16 or block.shape != (BLOCK,):
        raise ValueError(f"a block is int16 [{BLOCK}], not {block.dtype} {list(block.shape)}")
