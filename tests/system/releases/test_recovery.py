"""Recoveries as docs/updates.md tells them: the commands that are written there, a real hub, a box that looks."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tuf.api.metadata import Metadata, Timestamp

from provisioning.publish.catalogue import Catalogue
from provisioning.publish.hub_repository import HubRepository
from tests.support.bundles import tiny
from tests.support.site.hub_server import Hub
from tests.support.site.publishing import Server, commands
from tests.support.site.updating_device import UpdatingDevice

REASON = "the comparison has no recordings in this test"


@pytest.fixture
def box(folder: Path, hub: Hub, fleet) -> UpdatingDevice:
    site = SimpleNamespace(root=folder / "site" / "models" / "metadata" / "1.root.json")
    server = SimpleNamespace(url=hub.url, cert=hub.cert)
    return UpdatingDevice(folder / "box", site, server, tiny.make(folder / "shipped", "1.0.0"))


def test_the_hub_was_broken_into(folder: Path, hub: Hub, fleet, box: UpdatingDevice) -> None:
    """The thief has the online key, and shows every box a list that nothing honest can follow."""
    first = tiny.make(folder / "made", "1.1.0", seed=1)
    fleet("publish", str(first), "--everywhere", "--force", REASON, *fleet.signing)
    assert box.check().result == "switched"
    box.store.confirm()
    served = folder / "site" / "models" / "hub"
    thief = HubRepository(served)._signer()
    path = served / "metadata" / "timestamp.json"
    honest = path.read_bytes()
    forged = Metadata[Timestamp].from_bytes(honest)
    forged.signed.version = 1_000_000
    forged.signatures.clear()
    forged.sign(thief)
    path.write_bytes(forged.to_bytes())
    assert box.check().result == "nothing"
    path.write_bytes(honest)
    refused = box.check()
    assert (refused.result, "rollback" in refused.text) == ("failed", True)
    assert box.model() == "base-1.1.0"
    # Now what the page says.
    said = fleet("keys", "rotate", "online", *fleet.signing)
    assert "online.key" in said.stderr and "roomtone fleet refresh" in said.stderr
    fleet("refresh", *fleet.signing)
    assert box.check().result == "nothing"
    second = tiny.make(folder / "made", "1.2.0", seed=2)
    fleet("publish", str(second), "--everywhere", "--force", REASON, *fleet.signing)
    assert box.check().result == "switched"
    # What the thief signs from now on counts for nothing.
    forged.signed.version = 2_000_000
    forged.signatures.clear()
    forged.sign(thief)
    path.write_bytes(forged.to_bytes())
    box.store.confirm()
    assert "not signed by enough of the keys" in box.check().text


def test_the_workstation_was_stolen(folder: Path, hub: Hub, fleet, box: UpdatingDevice) -> None:
    """With the targets key and its passphrase: the root key from the drawer ends it."""
    evil = tiny.make(folder / "made", "1.1.0", seed=6)
    fleet("publish", str(evil), "--everywhere", "--force", "this one is the thief's", *fleet.signing)
    assert box.check().result == "switched"
    box.store.confirm()
    stolen = folder / "stolen"
    shutil.copytree(folder / "site" / "models", stolen)
    fleet("keys", "rotate", "targets", *fleet.signing)
    fleet("withdraw", "1.1.0", *fleet.signing)
    # Nothing else is published, so devices that have it keep it.
    assert box.check().result == "nothing"
    assert box.model() == "base-1.1.0"
    honest = tiny.make(folder / "made", "1.2.0", seed=2)
    fleet("publish", str(honest), "--everywhere", "--force", REASON, *fleet.signing)
    assert box.check().result == "switched"
    assert box.model() == "base-1.2.0"
    # The thief goes on with what he has: the hub takes nothing of it, and neither would a box.
    box.store.confirm()
    assert box.check().result == "nothing"
    from edge.util.errors import UserError
    from provisioning.publish import setup, upload
    from tests.support.site.publishing import ask

    for _ in range(9):  # a version that is newer than any honest one
        setup.resign_targets(Catalogue(stolen), setup.targets_signer(Catalogue(stolen), None, ask))
    with pytest.raises(UserError, match=r"409 targets"):
        upload.hub_of(Catalogue(stolen), hub.cert).bring(Catalogue(stolen))
    # And with another token he is not even listened to.
    fleet("keys", "rotate", "token")
    with pytest.raises(UserError, match="401"):
        upload.hub_of(Catalogue(stolen), hub.cert).status()
    fleet("refresh", *fleet.signing)


def test_a_stolen_device_holds_no_key_that_signs(folder: Path, fleet, box: UpdatingDevice) -> None:
    """What is in its store, and what a join file would have brought: public parts alone."""
    first = tiny.make(folder / "made", "1.1.0", seed=1)
    fleet("publish", str(first), "--everywhere", "--force", REASON, *fleet.signing)
    assert box.check().result == "switched"
    secrets = [path.read_bytes() for path in (folder / "site" / "models").rglob("*.key")]
    secrets += [(folder / "site" / "models" / "upload.token").read_bytes().strip()]
    assert len(secrets) == 4
    for path in box.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"PRIVATE" not in data, path
            assert not [secret for secret in secrets if secret in data], path


def test_a_withdrawal_that_the_hub_does_not_serve_is_not_called_one(folder: Path, hub: Hub, fleet) -> None:
    """The hub is away, or shows devices something older: the command says so, and `refresh` finishes the job."""
    from edge.util.errors import NotInForceError
    from provisioning.publish import upload

    first = tiny.make(folder / "made", "1.1.0", seed=1)
    fleet("publish", str(first), "--everywhere", "--force", REASON, *fleet.signing)
    catalogue = Catalogue(folder / "site" / "models")
    client = upload.hub_of(catalogue, hub.cert)
    client.check_served(catalogue)
    served = folder / "site" / "models" / "hub"
    old = (served / "metadata" / "timestamp.json").read_bytes()
    hub.stop()
    fleet("withdraw", "1.1.0", *fleet.signing, status=3)
    hub.start(served)
    with pytest.raises(NotInForceError):
        client.check_served(catalogue)
    fleet("refresh", *fleet.signing)
    client.check_served(catalogue)
    (served / "metadata" / "timestamp.json").write_bytes(old)
    with pytest.raises(NotInForceError):
        client.check_served(catalogue)


def test_what_is_copied_to_the_hub_by_hand_is_in_force_only_when_the_hub_serves_it(folder: Path) -> None:
    """A web server without the hub's API: `--no-upload`, a copy, and a look."""
    www = folder / "www"
    with Server(www, folder) as server:
        run = commands(folder, server.url)
        told = ("--no-upload", "--ca", str(server.cert), *run.signing)
        for version in ("1.1.0", "1.2.0"):
            made = tiny.make(folder / "made", version, seed=1)
            signed = run("publish", str(made), "--everywhere", "--force", REASON, *told, status=3)
            assert signed.stdout.split()[-1].endswith(version)
            run("refresh", *told, status=3)
            _copy_served(folder / "site" / "models" / "hub", www)
            run("refresh", *told)
        run("withdraw", "1.2.0", *told, status=3)
        run("refresh", *told, status=3)
        _copy_served(folder / "site" / "models" / "hub", www)
        run("refresh", *told)


def _copy_served(hub: Path, www: Path) -> None:
    for part in ("metadata", "targets"):
        shutil.copytree(hub / part, www / part, dirs_exist_ok=True)
