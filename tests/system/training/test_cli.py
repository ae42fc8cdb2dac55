"""The commands of `roomtone train`, as processes."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def train(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "training", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("step", ["fit", "export", "evaluate", "corpora"])
def test_every_step_has_help(step):
    done = train(step, "--help")
    assert done.returncode == 0
    assert "--data" in done.stdout and "--json" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--protocol", "nonsense", "--data", "."), "unknown protocol"),
        (("evaluate", "--protocol", "folder", "--data", "/nowhere"), "/nowhere"),
        (("evaluate", "--protocol", "folder", "--bundle", "absent", "--data", "."), "no model bundle"),
        (("fit", "--recipe", "absent", "--data", ".", "--out", "/nowhere/x"), "no recipe absent"),
        (("export", "--run", "/nowhere", "--data", ".", "--version", "0.0.1"), "/nowhere"),
        (("corpora", "--data", "/nowhere"), "no such folder"),
        (("fit", "--data", "/nowhere", "--out", "/nowhere/x"), "--data /nowhere: no such folder"),
        (("tune", "--data", "/nowhere", "--out", "/nowhere/x"), "--data /nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, words):
    done = train(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


WITHOUT_FRAMEWORK = """
import sys
from training.cli import main
status = main(sys.argv[1:])
print(status, sorted({"keras", "tensorflow", "torch"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--add", "absent"), "--add goes with --from BUNDLE"),
        (("--from", "base", "--add", "absent"), "absent: no such folder"),
        (("--from", "base", "--add", "empty"), "empty holds no labelled recording"),
        (("--from", "nothing-1.0.0"), "no model bundle nothing-1.0.0"),
        (("--from", "absent.npz"), "--from absent.npz: no such file"),
        (("--recipe", "absent"), "no recipe absent"),
        (("--workers", "-1"), "--workers -1: 0 or more"),
        (("--out", "file"), "--out file: is no folder"),
    ],
)
def test_options_are_checked_before_a_framework_is_loaded(tmp_path, more, words):
    for name in ("data/ravdess", "data/nemo", "empty"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    command = [sys.executable, "-c", WITHOUT_FRAMEWORK, "fit", "--data", "data", "--out", "new", *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "2 []\n", done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()
