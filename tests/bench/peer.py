"""The thesis's way, measured: a `transformers` audio-classification pipeline around wav2vec2-base on 3 s of audio.

The weights are random (built from the configuration, nothing is downloaded): time and memory do not depend on them.
Runs in an environment of its own and prints one JSON object.
"""

import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import (
    AudioClassificationPipeline,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

ROUNDS = 5
SECONDS = 3.0
RATE = 16_000


def rss_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    torch.set_num_threads(1)
    model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=6)).eval()
    pipe = AudioClassificationPipeline(
        model=model,
        feature_extractor=Wav2Vec2FeatureExtractor(sampling_rate=RATE),
        device=torch.device("cpu"),
    )
    noise = np.random.default_rng(0).standard_normal(int(SECONDS * RATE)).astype(np.float32) * 0.1
    pipe(noise)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        pipe(noise)
        times.append((time.process_time() - start) * 1000)
    parameters = sum(p.numel() for p in model.parameters())
    library = f"torch {torch.__version__}, transformers {transformers.__version__}"
    found = {
        "cpu_ms": statistics.median(times),
        "rss_mb": rss_mb(),
        "parameters": parameters,
        "library": library,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
