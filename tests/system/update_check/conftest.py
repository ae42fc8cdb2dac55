"""A site and a device of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bundles import tiny
from tests.support.site.publishing import Server, Site, server, site
from tests.support.site.updating_device import UpdatingDevice, folder

__all__ = ["folder", "server", "site"]


@pytest.fixture
def make(folder: Path) -> Callable[..., Path]:
    return lambda version="1.1.0", **changes: tiny.make(folder / "made", version, **{"seed": 1, **changes})


@pytest.fixture
def box(folder: Path, site: Site, server: Server) -> UpdatingDevice:
    return UpdatingDevice(folder / "box", site, server, tiny.make(folder / "shipped", "1.0.0"))
