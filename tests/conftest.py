"""What all tests share: `--long`, where the corpora are, where pictures are kept."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import hypothesis
import pytest

# How long one example takes says more about the load of the computer than about the code.
hypothesis.settings.register_profile("roomtone", deadline=None)
hypothesis.settings.load_profile("roomtone")

# Libraries keep caches and certificates in the home folder unless they are given another: a test leaves nothing there.
CACHES = Path(tempfile.gettempdir()) / f"roomtone-tests-{os.getuid()}"
for variable, name in {"MPLCONFIGDIR": "matplotlib", "KERAS_HOME": "keras", "STEPPATH": "step"}.items():
    (CACHES / name).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(variable, str(CACHES / name))

ROOT = Path(__file__).resolve().parent.parent
SPEECH = Path("/usr/share/pocketsphinx/test/data")
LONG_S = 900
"""Time limit of a long test that states none; that of pyproject.toml is for all others."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        for item in items:
            if "long" in item.keywords and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LONG_S))
        return
    skip = pytest.mark.skip(reason="takes minutes: ./run test --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of speech corpora; a test that needs it skips where it is absent, but never in CI."""
    place = Path(os.environ.get("ROOMTONE_DATA", ROOT.parent / "shared" / "data"))
    if not (place / "ravdess").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the corpora, and {place} has none")
        pytest.skip(f"no corpora in {place}; name their folder in ROOMTONE_DATA")
    return place


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where tests keep pictures for people to look at."""
    place = Path(os.environ.get("ROOMTONE_ARTEFACTS", ROOT / "artefacts"))
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
