"""`python -m edge.doctor.bundle_cost FOLDER`: measures one bundle in a process of its own.

Prints one JSON object: CPU and wall time of an utterance of 3 s (features and inference, one thread, medians), the CPU
time of the inference alone, resident memory of the process, the runtime; or `error` where the bundle cannot run.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.util.process_stats import rss_mb

ROUNDS: Final = 9
SECONDS: Final = 3
RATE: Final = 16_000
TIMEOUT_S: Final = 20.0
"""Seconds after which no further round is started."""


class BundleCost(Struct, frozen=True, kw_only=True):
    """CPU and wall time (ms) and resident memory (MB) of one bundle, or `error`."""

    cpu_ms: float = 0.0
    wall_ms: float = 0.0
    inference_cpu_ms: float = 0.0
    rss_mb: float = 0.0
    runtime: str = ""
    error: str = ""


def measure_cost(folder: Path) -> BundleCost:
    """Measure a bundle in this process; an unusable bundle gives `error`."""
    from edge.inference import bundle
    from edge.inference.classifier import Classifier
    from edge.util.errors import UserError

    try:
        classifier = Classifier(bundle.load(folder))
        inferences = classifier.self_test()
        begun = time.thread_time()
        classifier.self_test()
        inference = (time.thread_time() - begun) / inferences
        import numpy as np

        # Noise, which is not shortened by trimming; the time does not depend on the content.
        sound = np.random.default_rng(0).normal(0, 3000, SECONDS * RATE).astype(np.int16)
        classifier.classify(sound)
        cpu: list[float] = []
        wall: list[float] = []
        ends = time.monotonic() + TIMEOUT_S
        while len(cpu) < ROUNDS and (not cpu or time.monotonic() < ends):
            cpu_begun, wall_begun = time.process_time(), time.monotonic()
            classifier.classify(sound)
            cpu.append(time.process_time() - cpu_begun)
            wall.append(time.monotonic() - wall_begun)
    except UserError as error:
        return BundleCost(error=str(error))
    return BundleCost(
        cpu_ms=round(1000 * statistics.median(cpu), 2),
        wall_ms=round(1000 * statistics.median(wall), 2),
        inference_cpu_ms=round(1000 * inference, 2),
        rss_mb=round(rss_mb(), 1),
        runtime=classifier.runtime,
    )


if __name__ == "__main__":
    print(msgspec.json.encode(measure_cost(Path(sys.argv[1]))).decode())
