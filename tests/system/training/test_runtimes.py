"""The full-int8 graph in both runtimes: it loads, and the reference kernels give the same bits."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if not all(importlib.util.find_spec(name) for name in ("keras", "tensorflow", "ai_edge_litert")):
    pytest.skip("keras, tensorflow and LiteRT are installed with roomtone[training]", allow_module_level=True)

from edge.inference import bundle as bundles
from edge.inference.interpreter import Interpreter
from tests.conftest import ROOT
from tests.support.bundles.self_test import SELF_TEST
from tests.support.training import tiny_student

OTHER = """
import json, sys
import numpy as np
from edge.inference.interpreter import Interpreter
from tests.support.bundles.self_test import SELF_TEST
net = Interpreter(sys.argv[1], reference=sys.argv[4] == "reference")
with np.load(sys.argv[2]) as archive:
    mels, masks = archive["features"], archive["mask"]
found = [net.run({"features": mel[None], "mask": mask[None]}) for mel, mask in zip(mels, masks)]
np.savez(sys.argv[3], **{name: np.concatenate([one[name] for one in found]) for name in found[0]})
print(json.dumps(net.runtime))
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """Python 3.11 with tflite-runtime 2.14 and NumPy 1, as a 32-bit Pi has them."""
    python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if python is None:
        pytest.skip("tflite-runtime 2.14 has wheels up to Python 3.11, and that is not here")
    root = tmp_path_factory.mktemp("old")
    subprocess.run([python, "-m", "venv", str(root)], check=True)
    packages = ["tflite-runtime==2.14.0", "numpy>=1.26,<2", "msgspec>=0.20", "python-ulid>=3.0", "packaging"]
    done = subprocess.run(
        [root / "bin/pip", "install", "-q", *packages], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return root / "bin/python"


def in_old(old: Path, program: str, *arguments: str) -> str:
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [old, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(900)
def test_both_runtimes_give_the_same_bits_under_reference_kernels(old, tmp_path):
    place = tiny_student.make(tmp_path)
    assert json.loads(
        in_old(
            old,
            OTHER,
            str(place / "model.tflite"),
            str(place / "samples.npz"),
            str(place / "old.npz"),
            "reference",
        )
    ).startswith("tflite-runtime 2.14")
    net = Interpreter(place / "model.tflite", reference=True)
    assert net.runtime.startswith("litert")
    with np.load(place / "samples.npz") as samples, np.load(place / "old.npz") as expected:
        for index, (mel, mask) in enumerate(zip(samples["features"], samples["mask"], strict=True)):
            for name, values in net.run({"features": mel[None], "mask": mask[None]}).items():
                assert np.array_equal(values[0], expected[name][index]), (index, name)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_shipped_small_bundle_passes_its_self_test_in_the_old_runtime(old):
    try:
        shipped = bundles.find("small")
    except bundles.BundleError:
        pytest.skip("no small bundle is shipped yet")
    assert in_old(old, SELF_TEST, str(shipped)).startswith("tflite-runtime 2.14")
