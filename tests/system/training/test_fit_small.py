"""A whole run of the small recipe on a tiny corpus: listening to the teacher, the head; a kill in each."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from tests.support.training.tiny_corpus import corpora, encoder
from tests.support.training.tiny_student import RECIPE

PROGRAM = """
import functools, sys
from training import cli
from training.networks import backend
backend.choose("torch", "tensorflow", "jax")
from training.fit import closed_form, inputs
from training.networks import pretrained
inputs.Job = functools.partial(inputs.Job, save_every=2)
closed_form.PART = 3
pretrained.SHA256 = sys.argv.pop(1)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fit-small")
    corpora(root / "data")
    (root / "tiny.toml").write_text(RECIPE)
    (root / "sha256").write_text(encoder(root / "data"))
    return root


def start(place: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        (place / "sha256").read_text(),
        "fit",
        "--recipe",
        str(place / "tiny.toml"),
    ]
    command += ["--data", str(place / "data"), "--out", str(out), "--seed", "3", "--json", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def kill_when(process: subprocess.Popen[str], there: Path, pattern: str) -> None:
    deadline = time.monotonic() + 300
    while not any(there.glob(pattern)):
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_student_that_is_killed_twice_ends_in_the_same_weights(place, tmp_path):
    whole = start(place, tmp_path / "whole")
    out, err = whole.communicate(timeout=900)
    assert whole.returncode == 0, err[-2000:]
    found = json.loads(out)
    assert [entry["epoch"] for entry in found["history"]] == [1, 2, 3]
    assert "macro_f1" in found["history"][2] and "macro_f1" not in found["history"][0]

    killed = tmp_path / "killed"
    kill_when(start(place, killed), killed, "state.npz")
    assert not (killed / "epoch-02.npz").exists(), "it was killed too late to test anything"
    kill_when(start(place, killed), killed, "pooled-*/*.npy")
    assert not (killed / "epoch-03.npz").exists(), "it was killed too late to test anything"
    again = start(place, killed)
    _, err = again.communicate(timeout=900)
    assert again.returncode == 0, err[-2000:]
    with np.load(tmp_path / "whole" / "epoch-03.npz") as one, np.load(killed / "epoch-03.npz") as other:
        for name in one.files:
            # Sums in another order may differ in the last digits, nothing else.
            np.testing.assert_allclose(one[name], other[name], atol=1e-3 * max(1.0, np.abs(one[name]).max()))
