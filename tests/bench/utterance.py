"""CPU time of features and inference for 3 s of speech on one thread, in a process that does nothing else.

usage: utterance.py BUNDLE SPEECH.npy; prints one JSON object: `cpu_ms`, and `reference_ms`, a fixed computation (0.3 G
float32 multiplications) that was measured between the utterances: their ratio depends little on the processor and on
what else it does.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from edge.inference import bundle, pace
from edge.inference.classifier import Classifier

ROUNDS = 15
REFERENCE_EVERY = 5


def main() -> None:
    # `edge` has to be imported before NumPy, as on the device: it keeps BLAS to one thread.
    import numpy as np

    classifier = Classifier(bundle.load(bundle.find(sys.argv[1])), threads=1)
    samples = np.load(Path(sys.argv[2]))
    classifier.classify(samples)
    times, references = [], []
    for number in range(ROUNDS):
        if number % REFERENCE_EVERY == 0:
            references.append(pace.reference_s() * 1000)
        start = time.process_time()
        classifier.classify(samples)
        times.append((time.process_time() - start) * 1000)
    print(json.dumps({"cpu_ms": statistics.median(times), "reference_ms": statistics.median(references)}))


if __name__ == "__main__":
    main()
