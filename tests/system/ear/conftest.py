"""The ear's two ends: recorded voices, and a listening socket in the place of the link."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SPEECH
from tests.support.ear import Ear, Link

VOICES = ("goforward.raw", "something.raw")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    folder = tmp_path / "room"
    folder.mkdir()
    for name in VOICES:
        if not (SPEECH / name).exists():
            pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
        shutil.copy(SPEECH / name, folder / name)
    return folder


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(tmp_path / "link.sock")
    yield link
    link.close()


@pytest.fixture
def ears() -> Iterator[list[Ear]]:
    started: list[Ear] = []
    yield started
    for ear in started:
        ear.kill()
