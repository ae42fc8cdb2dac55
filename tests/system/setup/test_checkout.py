"""`./run` and the environment of a checkout: help installs nothing, and what an interruption left is noticed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.waiting import until


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts alone."""
    folder = tmp_path / "roomtone"
    (folder / "provisioning").mkdir(parents=True)
    for name in ("run", "provisioning/setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def in_setup(checkout: Path, script: str) -> int:
    """The exit status of a script that may use the functions of setup.sh."""
    command = f"set -uo pipefail; ROOT={checkout} VENV={checkout}/.venv; . {checkout}/provisioning/setup.sh; {script}"
    return subprocess.run(["bash", "-c", command], check=False, stdin=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("command", ["demo", "test", "lint", "hub", "train", "test-device", "help"])
def test_help_installs_nothing_and_works_from_another_folder(
    checkout: Path, tmp_path: Path, command: str
) -> None:
    before = sorted(checkout.rglob("*"))
    done = subprocess.run(
        [checkout / "run", command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "usage: ./run COMMAND" in done.stdout
    assert sorted(checkout.rglob("*")) == before


def test_an_unknown_command_is_refused(checkout: Path) -> None:
    for words in (["nosuch"], ["packages", "nosuch"]):
        done = subprocess.run([checkout / "run", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "nosuch" in done.stderr


WRONG = {
    "hub": ("--https-port", "0"),
    "demo": ("--playback", "absent"),
    "train": ("corpora", "--data", "absent"),
    "bench": ("--figures", "absent"),
    "fuzz": ("--target", "absent"),
}
SAYS = {"bench": "./run bench: error: argument --figures", "fuzz": "./run fuzz: error: argument --target"}


@pytest.mark.parametrize("command", WRONG)
def test_options_that_cannot_work_are_refused_before_anything_is_installed(
    tmp_path: Path, command: str
) -> None:
    venv = tmp_path / "environment"
    environ = os.environ | {"ROOMTONE_VENV": str(venv), "ROOMTONE_PYTHON": sys.executable}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [ROOT / "run", command, *WRONG[command]],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ./run " if command in SAYS else "run: --")
    assert SAYS.get(command, "") in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["bench", "demo"])
def test_folders_with_the_names_of_ours_are_not_taken_for_them(tmp_path: Path, command: str) -> None:
    for name in ("tests", "provisioning"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    # Without the checkout installed in it, as a system's is.
    environ = os.environ | {"ROOMTONE_VENV": str(tmp_path / "none"), "ROOMTONE_PYTHON": sys._base_executable}
    done = subprocess.run(
        [ROOT / "run", command, *WRONG[command]],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert SAYS.get(command, "run: --") in done.stderr


@pytest.mark.parametrize("command", WRONG)
def test_they_are_refused_by_a_python_without_any_package(command: str) -> None:
    module = "tests.preflight" if command in SAYS else "provisioning.preflight"
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-m", module, command, *WRONG[command]],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ./run " if command in SAYS else "run: --"), done.stderr
    assert SAYS.get(command, "") in done.stderr


@pytest.mark.parametrize("command", [*WRONG, "bench hub", "bench arm"])
def test_help_shows_the_options_of_a_command_before_there_is_an_environment(
    tmp_path: Path, command: str
) -> None:
    environ = os.environ | {"ROOMTONE_VENV": str(tmp_path / "none"), "ROOMTONE_PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "run", *command.split(), "--help"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"usage: ./run {command} [")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(900)
def test_an_environment_is_made_anew_when_it_is_not_whole_or_was_moved(checkout: Path) -> None:
    assert in_setup(checkout, "venv_works") == 1
    assert in_setup(checkout, f"make_venv {sys.executable}") == 0
    assert in_setup(checkout, "venv_works") == 0
    moved = checkout.rename(checkout.with_name("renamed"))
    assert in_setup(moved, "venv_works") == 1
    back = moved.rename(checkout)
    assert in_setup(back, "venv_works") == 0
    shutil.rmtree(next((back / ".venv").glob("lib/python3*/site-packages/pip")))
    assert in_setup(back, "venv_works") == 1


@pytest.mark.timeout(300)
def test_a_first_start_finds_byte_code_and_the_checkout_has_none_in_it(checkout: Path) -> None:
    (checkout / "edge").mkdir()
    (checkout / "edge" / "part.py").write_text("ANSWER = 42\n")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    assert in_setup(checkout, "compile_bytecode") == 0
    compiled = {path.name.partition(".")[0] for path in (checkout / ".venv" / "pycache").rglob("*.pyc")}
    assert {"part", "argparse"} <= compiled
    assert not list((checkout / "edge").rglob("*.pyc"))


def test_services_are_noted_once_their_package_is_missing_and_only_then(checkout: Path) -> None:
    assert in_setup(checkout, "note_services jq curl") == 0
    noted = checkout / ".venv.services"
    assert not noted.exists()
    assert in_setup(checkout, "note_services jq caddy docker.io") == 0
    assert noted.read_text().splitlines() == ["caddy", "docker docker.socket containerd"]


@pytest.mark.parametrize("how", ["ignores it", "ends by it", "makes an error of it"])
def test_ctrl_c_ends_the_script_whatever_apt_makes_of_it(checkout: Path, tmp_path: Path, how: str) -> None:
    """Apt ignores it while it unpacks, and ends with 0 a while later."""
    programs = tmp_path / "bin"
    programs.mkdir()
    begun, pressed = tmp_path / "begun", tmp_path / "pressed"
    trap = {"ignores it": "trap '' INT; ", "ends by it": "", "makes an error of it": "trap 'exit 100' INT; "}[
        how
    ]
    wait = f"for n in $(seq 300); do [ ! -e {pressed} ] || break; sleep 0.1; done"
    scripts = {
        "sudo": 'while case $1 in -*) ;; *) false ;; esac; do shift; done; exec "$@"',
        "dpkg-query": "exit 1",
        "apt-get": f"{trap}echo begun >{begun}; {wait}",
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/bash\n{script}\n")
        (programs / name).chmod(0o755)
    # In the background of a script SIGINT would be ignored from the start.
    command = ["env", "--default-signal=INT", checkout / "run", "setup"]
    logs = tmp_path / "logs"
    logs.mkdir()
    with subprocess.Popen(
        command,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(logs)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        until(begun.exists)
        os.killpg(process.pid, signal.SIGINT)
        pressed.touch()
        said = process.communicate(timeout=30)[0]
    assert process.returncode == -signal.SIGINT
    assert "could not install" not in said
    assert not list(logs.iterdir())
    # A Python that was asked for its version may have left compiled files there.
    assert not (checkout / ".venv/bin").exists()
