"""Microphones without hardware: capture devices of ALSA with any rate, channels, format and sound."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("fake_microphone.c")
SYSTEM_CONFIG = Path("/usr/share/alsa/alsa.conf")

PROBE = """
import json, sys
import numpy as np
from edge.audio.level import dbfs, sound_power
from edge.audio.vad import make_vad
from edge.config.load import load
from edge.ear.capture.microphone import MicrophoneSource
from edge.ear.capture.source import SourceLostError
from edge.ear.native_output import silence_native_stderr
from edge.ear.pipeline import Pipeline
from edge.ear.signal_check import SignalCheck
from edge.inference.classifier import Result
from edge.protocol import LABELS

class Classifier:
    def classify(self, samples, speech_ms):
        shares = dict.fromkeys(LABELS, 1 / 7)
        return Result("neutral", 1 / 7, shares, np.zeros(4, np.float32), np.zeros(7), True)

class Vad:
    engine = "silero"
    reset = lambda self: self.own.reset()
    own, blocks, found = make_vad(load()), [], []
    def probabilities(self, blocks):
        self.blocks += list(blocks.copy())
        self.found += self.own.probabilities(blocks)
        return self.found[-len(blocks):]

silence_native_stderr()
name, channel, seconds = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
source, check = MicrophoneSource("name:" + name, channel), SignalCheck()
try:
    source.open()
except SourceLostError as error:
    print(json.dumps({"lost": str(error)}))
    sys.exit()
blocks = []
while len(blocks) < int(seconds / 0.032):
    blocks += source.read(1)
found = {"name": source.name, "rate": source.format.rate_hz, "channels": source.format.channels}
found["used"] = source.format.used
source.close()
found["faults"] = check.faults([block.samples for block in blocks])
vad = Vad()
pipeline = Pipeline(load(), vad, Classifier(), "base-1.0.0")
for block in blocks:
    pipeline.feed([block])
sound = np.concatenate(vad.blocks)
found["speech"] = float(np.mean(np.array(vad.found) > 0.5))
found["dbfs"] = dbfs(sound_power(sound))
found["mean"] = float(sound.mean())
print(json.dumps(found))
"""


class FakeCard:
    """A sound card whose microphones are made by a test. Skips the test where it cannot be built."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: list[str] = []
        missing = [tool for tool in ("gcc",) if shutil.which(tool) is None]
        missing += [] if Path("/usr/include/alsa/pcm_external.h").is_file() else ["libasound2-dev"]
        if missing:
            pytest.skip(f"the fake microphone needs {', '.join(missing)}")
        pytest.importorskip("pyaudio")
        self._library = folder / "fake_microphone.so"
        command = [
            "gcc",
            "-O1",
            "-shared",
            "-fPIC",
            "-DPIC",
            "-o",
            str(self._library),
            str(SOURCE),
            "-lasound",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def add(self, name: str, sound: NDArray[np.float64], rate: int, form: str = "S16_LE") -> None:
        """Add a microphone that delivers this sound `[n, channels]`, within -1..1, again and again."""
        file = self._folder / f"{name}.raw"
        file.write_bytes(_encode(sound, form))
        self._entries.append(
            f'pcm.{name} {{ type fakemic file "{file}" rate {rate} channels {sound.shape[1]} format "{form}" }}\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        """For a process that sees this card alone."""
        config = self._folder / "asound.conf"
        config.write_text(
            f'<{SYSTEM_CONFIG}>\npcm_type.fakemic {{ lib "{self._library}" }}\n' + "".join(self._entries)
        )
        return {**os.environ, "ALSA_CONFIG_PATH": str(config)}

    def probe(self, name: str, channel: object = "mean", seconds: float = 4.0) -> dict[str, Any]:
        """What the ear's microphone source and its checks make of a microphone."""
        done = subprocess.run(
            [sys.executable, "-c", PROBE, name, json.dumps(channel), str(seconds)],
            env=self.environment, capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def _encode(sound: NDArray[np.float64], form: str) -> bytes:
    bits = {"S16_LE": 16, "S24_3LE": 24, "S32_LE": 32}[form]
    scaled = np.clip(np.rint(sound * (2 ** (bits - 1) - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits == 16:
        return scaled.astype("<i2").tobytes()
    wide = scaled.astype("<i4")
    return wide.tobytes() if bits == 32 else wide.reshape(-1, 1).view("u1").reshape(-1, 4)[:, :3].tobytes()
