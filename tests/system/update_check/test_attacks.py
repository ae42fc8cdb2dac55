"""What somebody on the way to the hub, or at the hub, may try: each refused in its own words, the old model runs."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Targets

from edge.releases import archive
from edge.releases.metadata import MAX_ARCHIVE_BYTES
from provisioning.publish import keys, setup
from provisioning.publish.signing import next_root
from tests.support.site import publishing as publishing_site
from tests.support.site.publishing import PASSPHRASE, Server, Site, ask


@pytest.fixture
def refused(box):
    """Checks, and expects that it fails with this code, or in these words, while the shipped model runs."""

    def expect(*words: str, code: str = "", **more: object) -> None:
        found = box.check(**more)
        assert (found.result in {"failed", "refused"}, found.code) == (True, code), found
        for word in words:
            assert word in found.text, found.text
        assert "\n" not in found.text
        assert box.model() == "base-1.0.0"
        assert box.store.state.error == found.text

    return expect


def _tampered(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


def test_a_tampered_model(site, server, box, make, refused) -> None:
    target = site.publish(make())
    path = site.catalogue.archive(target.release.path, target.sha256)
    server.instead[path.name] = _tampered(path)
    refused(code="tampered")
    assert not list(box.store.incoming.iterdir())
    server.instead.clear()
    assert box.check().result == "switched"


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "2.targets.json"])
def test_tampered_metadata(site, server, make, refused, name: str) -> None:
    site.publish(make())
    if name == "1.snapshot.json":
        name = "2.snapshot.json"
    path = site.hub.metadata / name
    tree = json.loads(path.read_bytes())
    tree["signed"]["expires"] = "2099-01-01T00:00:00Z"
    server.instead[name] = json.dumps(tree).encode()
    refused(code="unsigned")


def test_the_wrong_key(site, server, make, refused) -> None:
    site.publish(make())
    forged = Metadata[Targets].from_file(str(site.hub.metadata / "2.targets.json"))
    forged.signatures.clear()
    forged.sign(CryptoSigner(Ed25519PrivateKey.generate()))
    server.instead["2.targets.json"] = forged.to_bytes()
    refused("targets", code="unsigned")


def test_a_hub_with_other_keys_altogether(folder, site, server, make, refused) -> None:
    other = Site(folder / "other")
    other.publish(make())
    server.folder = other.catalogue.hub
    refused(code="unsigned")


def test_a_root_below_its_threshold(folder, make) -> None:
    from tests.support.bundles import tiny
    from tests.support.site.updating_device import UpdatingDevice

    site = Site(folder / "big", profile="site")
    site.publish(make())
    with Server(site.catalogue.hub, folder) as server:
        box = UpdatingDevice(folder / "box", site, server, tiny.make(folder / "shipped", "1.0.0"))
        new = next_root(site.catalogue)
        new.signed.roles["targets"].threshold = 1
        new.sign(keys.load(site.catalogue.folder / "root-1.key", ask))
        server.instead["2.root.json"] = new.to_bytes()
        found = box.check()
        assert (found.result, box.model()) == ("failed", "base-1.0.0")
        assert found.code == "unsigned"
        assert "root" in found.text
        new.sign(keys.load(site.catalogue.folder / "root-2.key", ask), append=True)
        server.instead["2.root.json"] = new.to_bytes()
        assert box.check().result == "switched"


def test_a_rollback_to_metadata_of_yesterday(site, server, box, make, refused) -> None:
    site.publish(make("1.1.0"))
    old = (site.hub.metadata / "timestamp.json").read_bytes()
    site.publish(make("1.2.0", seed=2), percent=0)
    assert box.check().result == "switched"
    box.store.confirm()
    server.instead["timestamp.json"] = old
    found = box.check()
    assert found.result == "failed"
    assert found.code == "rollback"
    # And with the cache of the client gone, the floor of the box itself stands.
    shutil.rmtree(box.store.tuf)
    found = box.check()
    assert (found.result, box.model()) == ("nothing", "base-1.1.0")


def test_a_freeze(site, make, refused, monkeypatch) -> None:
    site.publish(make())
    _later(monkeypatch, timedelta(days=4))
    refused(code="expired")


def _later(monkeypatch, by: timedelta) -> None:
    """The client's clock goes on; the hub's stands still."""
    import datetime as real
    from types import SimpleNamespace

    from tuf.ngclient._internal import trusted_metadata_set

    class Clock(real.datetime):
        @classmethod
        def now(cls, tz=None):
            return real.datetime.now(tz) + by

    moved = SimpleNamespace(datetime=Clock, timezone=real.timezone)
    monkeypatch.setattr(trusted_metadata_set, "datetime", moved)


def test_mix_and_match(site, server, make, refused) -> None:
    """Today's snapshot with yesterday's list of targets."""
    site.publish(make("1.1.0"))
    yesterday = (site.hub.metadata / "2.targets.json").read_bytes()
    site.publish(make("1.2.0", seed=2))
    server.instead["3.targets.json"] = yesterday
    refused(code="rollback")


def test_endless_metadata(site, server, make, refused) -> None:
    site.publish(make())
    server.instead["timestamp.json"] = publishing_site.endless
    refused(code="endless")


def test_an_endless_model(site, server, make, refused) -> None:
    site.publish(make())
    server.instead["*.tar"] = publishing_site.endless
    refused(code="endless")


def test_slow_retrieval_of_metadata_and_of_a_model(site, server, make, refused) -> None:
    site.publish(make())
    server.instead["timestamp.json"] = publishing_site.trickle
    refused(code="slow", timeout_s=1.0)
    del server.instead["timestamp.json"]
    server.instead["*.tar"] = publishing_site.trickle
    refused(code="slow", timeout_s=1.0)


def test_an_oversized_target(site, make, box, refused) -> None:
    target = site.publish(make())
    targets = Metadata[Targets].from_file(str(site.hub.metadata / "2.targets.json"))
    targets.signed.targets[target.release.path].length = MAX_ARCHIVE_BYTES + 1
    targets.signed.version = 3
    targets.signatures.clear()
    targets.sign(setup.targets_signer(site.catalogue, None, ask))
    site.hub.accept_targets(targets.to_bytes())
    refused("MiB, more than")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_daemon": "99.0.0"}, "needs roomtone 99.0.0 or newer"),
        ({"runtimes": ("other",)}, "needs other, here is litert"),
        ({"architectures": ("s390x",)}, "is for s390x"),
    ],
)
def test_requirements_of_another_box(site, make, refused, changes, words) -> None:
    import msgspec

    from edge.inference import bundle as bundles
    from provisioning.publish import bundle_checks

    path = make()
    about = msgspec.structs.replace(bundle_checks.release_of(bundles.load(path), 1, "stable"), **changes)
    site.sign(about, archive.pack(path))
    refused(words)


def test_a_model_for_another_node_is_none_of_our_business(site, box, make) -> None:
    site.publish(make(), nodes=("study",))
    found = box.check()
    assert found.result == "nothing"
    assert found.text == "base-1.1.0, release 1, is not meant for this device, or not yet"
    assert box.store.state.latest == ""
    assert box.store.state.error == ""
    assert box.model() == "base-1.0.0"


def _evil(*members: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, data, kind in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            out.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_evil(("../../state.json", b"{}", tarfile.REGTYPE)), "not a valid file name in a bundle"),
        (_evil(("model.tflite", b"", tarfile.SYMTYPE)), "is a link"),
        (b"no archive at all", "damaged"),
    ],
)
def test_an_archive_that_was_signed_and_wants_to_be_elsewhere(site, box, make, refused, data, words) -> None:
    target = site.publish(make(), data=data)
    refused(words)
    assert target.sha256 in box.store.state.refused_hashes
    assert not list((box.folder / "slots").iterdir())
    refused("not installed again")


def test_another_bundle_than_the_metadata_says(site, make, refused) -> None:
    site.publish(make("1.1.0"), data=archive.pack(make("1.2.0", seed=2)))
    refused("refused by validation", "another one was signed")


def test_nothing_is_trusted_on_first_use(site, server, box, make) -> None:
    site.publish(make())
    site.root.rename(site.root.with_name("gone"))
    found = box.check()
    assert found.result == "failed"
    assert found.code == "no-root"
    assert server.asked == []


def test_a_hub_that_is_not_who_it_says(box, site, make) -> None:
    from edge.releases.repository.download import HttpsFetcher

    site.publish(make())
    found = box.check(fetcher=HttpsFetcher())
    assert found.result == "failed"
    assert "certificate" in found.text.lower()


def test_the_passphrase_guards_the_key(site) -> None:
    from edge.util.errors import UserError

    path = site.catalogue.folder / "targets.key"
    assert b"ENCRYPTED" in path.read_bytes()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    with pytest.raises(UserError, match="wrong passphrase"):
        keys.load(path, lambda *_: PASSPHRASE + b"?")
