"""The commands of `roomtone train`, as processes."""

import subprocess
import sys

import pytest


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
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, words):
    done = train(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
