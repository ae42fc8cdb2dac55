"""CPU time of features and inference for 3 s of speech on one thread, median, in a process that does nothing else.

usage: utterance.py BUNDLE SPEECH.npy; prints milliseconds.
"""

import statistics
import sys
import time
from pathlib import Path

from edge.inference import bundle
from edge.inference.classifier import Classifier

ROUNDS = 31


def main() -> None:
    # `edge` has to be imported before NumPy, as on the device: it keeps BLAS to one thread.
    import numpy as np

    classifier = Classifier(bundle.load(bundle.find(sys.argv[1])), threads=1)
    samples = np.load(Path(sys.argv[2]))
    classifier.classify(samples)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        classifier.classify(samples)
        times.append((time.process_time() - start) * 1000)
    print(statistics.median(times))


if __name__ == "__main__":
    main()
