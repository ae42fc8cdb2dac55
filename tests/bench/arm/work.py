"""The work whose instructions are counted, as one program for every interpreter: emulated Arm, emulated and real x86.

usage: work.py SPEECH.npy BUNDLE...        under the emulator: marks the beginning and end of each work
       work.py SPEECH.npy BUNDLE... --time natively: the CPU milliseconds of each work

Prints one JSON object: the works in order, each with what one round of it stands for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

# `edge` has to be imported before NumPy, as on the device: it keeps BLAS to one thread.
from edge.audio.vad import SileroVad
from edge.inference import bundle, features
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter

import numpy as np  # isort: skip

MARK = 0x52540000
BLOCK = 512
SECOND = 16_000 / BLOCK
COUNTED, TIMED = 1, 41
"""Rounds under the emulator, where each is the same, and natively, where the fastest tenth counts."""


def mark(number: int) -> None:
    """Mark a place for insn_count.c; natively it does nothing."""
    try:
        os.getpriority(os.PRIO_PROCESS, MARK + number)
    except ProcessLookupError:
        return


def works(speech: np.ndarray, bundles: list[Path]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name of a work and what does it once."""
    loaded = {folder.name.partition("-")[0]: bundle.load(folder) for folder in bundles}
    spec = next(iter(loaded.values())).manifest.features
    sound = features.to_float(speech)
    yield "features", lambda: features.network_input(sound, spec)
    for family, found in loaded.items():
        mel, mask = features.network_input(sound, found.manifest.features)
        interpreter = Interpreter(found.model)
        yield f"{family}_inference", lambda model=interpreter, x={"features": mel, "mask": mask}: model.run(x)
        classifier = Classifier(found)
        yield f"{family}_utterance", lambda classifier=classifier: classifier.classify(speech)
    detector = SileroVad()
    quiet = np.random.default_rng(1).normal(0, 20, (32, BLOCK)).astype(np.int16)
    yield "vad_second", lambda: [detector.probability(block) for block in quiet]


def per_round(name: str) -> float:
    """How many of what is counted one round has: of the detector, seconds of sound."""
    return 32 / SECOND if name == "vad_second" else 1.0


def timed(call: Callable[[], object]) -> float:
    """CPU milliseconds of a call: the tenth percentile, which what else runs on the machine disturbs least."""
    times = []
    for _ in range(TIMED):
        begun = time.thread_time()
        call()
        times.append(time.thread_time() - begun)
    return 1000 * sorted(times)[TIMED // 10]


def main() -> None:
    """Mark or time every work."""
    arguments = [one for one in sys.argv[1:] if one != "--time"]
    speech = np.load(arguments[0])
    found = {}
    mark(0)
    mark(1)
    for number, (name, call) in enumerate(works(speech, [Path(one) for one in arguments[1:]]), start=1):
        call()
        call()
        if "--time" in sys.argv:
            found[name] = timed(call) / per_round(name)
            continue
        mark(2 * number)
        for _ in range(COUNTED):
            call()
        mark(2 * number + 1)
        found[name] = COUNTED * per_round(name)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
