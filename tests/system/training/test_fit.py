"""A real run of two tiny epochs with the network of one layer; skipped where no training framework is installed."""

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

RECIPE = """
name = "tiny"
architecture = "whisper"
layers = 1
embedding = 16
epochs = 2
draws = 24
batch = 4
average = 0.9
"""
# The encoder of the test is not the published one, so its hash is put in the place of that.
PROGRAM = """
import functools, sys
from training import cli
from training.networks import backend, pretrained
backend.choose("torch", "tensorflow", "jax")
from training.fit import inputs
pretrained.SHA256 = sys.argv[1]
inputs.Job = functools.partial(inputs.Job, save_every=2)
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fit")
    data = corpora(root / "data")
    (root / "sha").write_text(encoder(data))
    (root / "tiny.toml").write_text(RECIPE)
    return root


def start(place: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, (place / "sha").read_text(), "fit"]
    command += ["--recipe", str(place / "tiny.toml")]
    command += ["--data", str(place / "data"), "--out", str(out), "--seed", "3", "--json", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


@pytest.mark.long
def test_a_run_that_is_killed_continues_without_loss(place, tmp_path):
    whole = start(place, tmp_path / "whole")
    out, err = whole.communicate(timeout=600)
    assert whole.returncode == 0, err[-2000:]
    assert [entry["epoch"] for entry in json.loads(out)["history"]] == [1, 2]

    killed = start(place, tmp_path / "killed")
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / "state.npz").exists():
        assert killed.poll() is None, killed.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "epoch-02.npz").exists(), "it was killed too late to test anything"

    again = start(place, tmp_path / "killed")
    _, err = again.communicate(timeout=600)
    assert again.returncode == 0, err[-2000:]
    with (
        np.load(tmp_path / "whole" / "epoch-02.npz") as one,
        np.load(tmp_path / "killed" / "epoch-02.npz") as other,
    ):
        for name in one.files:
            # Sums in another order may differ in the last digits, nothing else.
            np.testing.assert_allclose(one[name], other[name], atol=1e-4)


@pytest.mark.long
def test_a_checkpoint_of_another_recipe_or_seed_is_refused(place, tmp_path):
    first = start(place, tmp_path)
    first.communicate(timeout=600)
    (place / "other.toml").write_text(RECIPE.replace("draws = 24", "draws = 25"))
    second = start(place, tmp_path, "--recipe", str(place / "other.toml"))
    _, err = second.communicate(timeout=600)
    assert second.returncode == 2
    assert "another recipe or seed" in err and "--out" in err
