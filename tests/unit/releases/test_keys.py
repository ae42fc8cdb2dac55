"""Keys are changed by the commands that people call: alone, by two of three, and with the power cut on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.util.errors import NotInForceError
from provisioning.publish import rotation, setup
from provisioning.publish.catalogue import Catalogue
from tests.support.site.publishing import Site, ask, commands

URL = "https://hub.invalid/updates"


def test_a_new_online_key_is_made_also_when_the_folder_of_the_hub_is_at_the_hub(folder: Path) -> None:
    catalogue = Site(folder / "site").catalogue
    shutil.rmtree(catalogue.hub)
    assert rotation.rotate(catalogue, "online", (), ask)
    assert oct((catalogue.hub / "online.key").stat().st_mode & 0o777) == "0o600"
    assert oct(catalogue.hub.stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("role", ["root", "targets", "online"])
def test_two_of_three_sign_one_after_the_other(folder: Path, role: str) -> None:
    """Site: the second person signs on another day, from another stick."""
    run = commands(folder, URL, "--profile", "site")
    models = folder / "site" / "models"
    sticks = []
    for number in (1, 2, 3):
        stick = folder / f"stick-{number}"
        stick.mkdir()
        sticks.append(shutil.move(models / f"root-{number}.key", stick))
    told = ("--no-upload", *run.signing)
    refused = run("keys", "rotate", role, *told, status=2)
    assert "--key" in refused.stderr
    assert not (models / "root.pending.json").exists()
    first = run("keys", "rotate", role, "--key", str(sticks[0]), *told, status=1)
    assert "root.pending.json" in first.stderr and "roomtone fleet keys sign" in first.stderr
    assert (models / "root.pending.json").exists()
    assert Catalogue(models).root().signed.version == 1
    # Until then everything goes on with the keys of before.
    run("group", "upstairs", "attic")
    setup.resign_targets(Catalogue(models), setup.targets_signer(Catalogue(models), None, ask))
    again = run("keys", "rotate", role, "--key", str(sticks[0]), *told, status=2)
    assert "roomtone fleet keys sign" in again.stderr
    run("keys", "sign", "--key", str(sticks[0]), *told, status=1)
    assert Catalogue(models).root().signed.version == 1
    # The online key goes to the hub first; any other root is not in force before the hub serves it.
    status = 0 if role == "online" else NotInForceError.status
    second = run("keys", "sign", "--key", str(sticks[1]), *told, status=status)
    assert ("online.key" in second.stderr) == (role == "online")
    catalogue = Catalogue(models)
    assert (catalogue.root().signed.version, catalogue.targets_trusted()) == (2, True)
    assert not (models / "root.pending.json").exists()
    setup.targets_signer(catalogue, None, ask)
    run("keys", "sign", "--key", str(sticks[1]), *told, status=2)
    assert catalogue.root().signed.version == 2
    shown = run("keys", "show").stdout.splitlines()
    assert shown[1].startswith("root       2 of ")
    assert shown[1].count(",") == 2
