"""What all tests share: `--long`, where the corpora are, where pictures are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPEECH = Path("/usr/share/pocketsphinx/test/data")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
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
