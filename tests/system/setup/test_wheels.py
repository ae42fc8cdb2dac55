"""The wheels as docs/install.md says: installed by pip, pipx and uv, where there is no checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, SPEECH

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PARTS = (
    "edge",
    "training",
    "dashboard",
    "provisioning",
    "models",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "NOTICE",
)
DEBIANS_PYTHON = "/usr/bin/python3"
CLIP = SPEECH / "cards" / "001.wav"


def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command prints; a failure shows all of it."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd, env=os.environ | environment, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"
    return done.stdout


@dataclass(frozen=True)
class Release:
    """The files of a release, and the tools that install them."""

    folder: Path
    tools: Path

    def file(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found

    @property
    def code(self) -> Path:
        return self.file("roomtone-*.whl")

    @property
    def models(self) -> Path:
        return self.file("roomtone_models-*.whl")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Built from a copy: a build leaves folders beside what it builds."""
    work = tmp_path_factory.mktemp("release")
    source, dist = work / "source", work / "dist"
    source.mkdir()
    run("cp", "-rL", *PARTS, source, cwd=ROOT)
    shutil.rmtree(source / "dashboard" / "frontend" / "node_modules", ignore_errors=True)
    run(sys.executable, "-m", "venv", work / "tools", cwd=work)
    tools = work / "tools" / "bin"
    run(tools / "pip", "install", "-q", "build", "pipx", "uv", cwd=work)
    # From an sdist each, as `build` does it.
    for folder in (source, source / "models"):
        run(tools / "python", "-m", "build", "--outdir", dist, folder, cwd=work)
    return Release(dist, tools)


def by_pip(release: Release, home: Path) -> Path:
    run(DEBIANS_PYTHON, "-m", "venv", "--system-site-packages", home / "env", cwd=home)
    run(home / "env/bin/pip", "install", "-q", f"{release.code}[edge]", release.models, cwd=home)
    return home / "env/bin/roomtone"


def by_pipx(release: Release, home: Path) -> Path:
    own = {"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin")}
    options = ("--system-site-packages", "--python", DEBIANS_PYTHON)
    run(release.tools / "pipx", "install", *options, f"{release.code}[edge]", cwd=home, **own)
    run(release.tools / "pipx", "inject", "roomtone", release.models, cwd=home, **own)
    return home / "bin/roomtone"


def by_uv(release: Release, home: Path) -> Path:
    own = {"UV_TOOL_DIR": str(home / "uv"), "UV_TOOL_BIN_DIR": str(home / "bin")}
    tool = (release.tools / "uv", "tool", "install", "--python", DEBIANS_PYTHON)
    run(*tool, f"{release.code}[edge]", "--with", release.models, cwd=home, **own)
    return home / "bin/roomtone"


def missing_for(install: object) -> list[str]:
    if install is by_uv:
        # It compiles PyAudio.
        headers = Path("/usr/include/portaudio.h")
        return [] if shutil.which("gcc") and headers.exists() else ["gcc", "python3-dev", "portaudio19-dev"]
    modules = ("ensurepip", "pyaudio")
    return [
        "python3-venv python3-pyaudio"
        for name in modules
        if subprocess.run(
            [DEBIANS_PYTHON, "-c", f"import {name}"], capture_output=True, check=False
        ).returncode
    ]


@pytest.mark.parametrize("install", [by_pip, by_pipx, by_uv])
def test_what_is_installed_from_the_wheels_works(
    release: Release, tmp_path: Path, install: Callable[[Release, Path], Path]
) -> None:
    if missing := missing_for(install):
        pytest.skip(f"apt install {' '.join(missing)}")
    roomtone = install(release, tmp_path)
    assert "usage" in run(roomtone, "ear", "--help", cwd=tmp_path)
    said = run(roomtone, "classify", "--json", CLIP, cwd=tmp_path)
    assert json.loads(said.strip().splitlines()[-1])
    assert "golden outputs match" in run(roomtone, "doctor", "--only", "model", cwd=tmp_path)
    assert "base-" in run(roomtone, "model", "status", cwd=tmp_path)


def test_the_sdist_builds_the_same_wheel(release: Release, tmp_path: Path) -> None:
    for pattern in ("roomtone-*", "roomtone_models-*"):
        run(
            release.tools / "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            tmp_path,
            release.file(f"{pattern}.tar.gz"),
            cwd=tmp_path,
        )
        (again,) = tmp_path.glob(f"{pattern}.whl")
        with zipfile.ZipFile(again) as one, zipfile.ZipFile(release.file(f"{pattern}.whl")) as other:
            assert {info.filename: info.CRC for info in one.infolist()} == {
                info.filename: info.CRC for info in other.infolist()
            }


def test_what_a_device_and_a_hub_need_is_in_the_wheel(release: Release) -> None:
    with zipfile.ZipFile(release.code) as wheel:
        names = set(wheel.namelist())
    for needed in (
        "provisioning/install.sh",
        "provisioning/uninstall.sh",
        "provisioning/notice.txt",
        "provisioning/systemd/roomtone-ear.service",
        "provisioning/hub/Caddyfile",
        "edge/py.typed",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "dashboard/frontend/"))]
