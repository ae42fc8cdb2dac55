"""What runs on a room device, and the speech and model code that the workstation and the hub share with it."""

import os

# One thread is enough for a 300 x 201 x 80 product, and OpenBLAS's others spin for a while after each: with two cores
# that doubled the CPU time of an utterance (92 instead of 42 ms). It reads this when NumPy is imported, hence here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
