"""A site and a box of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bundles import tiny
from tests.support.site.publishing import Server, Site, server, site
from tests.support.site.updating_device import UpdatingDevice

__all__ = ["server", "site"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, as these tests synchronise often."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture
def make(folder: Path) -> Callable[..., Path]:
    return lambda version="1.1.0", **changes: tiny.make(folder / "made", version, **{"seed": 1, **changes})


@pytest.fixture
def box(folder: Path, site: Site, server: Server) -> UpdatingDevice:
    return UpdatingDevice(folder / "box", site, server, tiny.make(folder / "shipped", "1.0.0"))
