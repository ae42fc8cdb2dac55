"""What a hub's folder has: an operator for pushes, and the releases of its own site."""

from __future__ import annotations

import os
from pathlib import Path

from edge.config.join_file import ABOUT
from provisioning.hub import setup
from provisioning.publish.hub_repository import HubRepository
from tests.support.broker import free_port

OWNER = str(os.getuid())


def prepare(folder: Path, site: Path | None = None) -> bool:
    return setup.prepare(folder, ["hub.local"], 8883 if site else free_port(), site=site, owner=OWNER)


def test_the_keys_that_were_made_in_its_site_are_served_from_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    assert prepare(folder)
    assert (folder / "push" / ABOUT).is_file()
    made = folder / "site" / "models" / "hub"
    made.mkdir(parents=True)
    (made / "online.key").write_text("secret")
    # As the dashboard leaves it that was started without releases.
    HubRepository(folder / "updates")
    assert not prepare(folder)
    assert (folder / "updates" / "online.key").read_text() == "secret"
    assert not made.exists()
    # What is served already is never replaced.
    made.mkdir()
    (made / "online.key").write_text("another")
    prepare(folder)
    assert (folder / "updates" / "online.key").read_text() == "secret"


def test_a_site_elsewhere_is_left_alone(tmp_path: Path) -> None:
    site = tmp_path / "keys" / "site"
    site.parent.mkdir()
    prepare(tmp_path / "hub", site)
    assert not (tmp_path / "hub" / "push").exists()
