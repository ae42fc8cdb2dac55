"""Keys change while boxes run: a repository in memory that is a real fetcher, and a clock that stands still."""

from __future__ import annotations

import datetime as real
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Snapshot, Timestamp
from tuf.ngclient import FetcherInterface
from tuf.ngclient._internal import trusted_metadata_set

from edge.releases.repository import tuf_client
from provisioning.publish import keys, rotation, setup
from provisioning.publish.catalogue import TARGETS_DAYS, Catalogue
from provisioning.publish.hub_repository import MAX_OFF_S
from provisioning.publish.signing import sign_targets
from tests.support.bundles import tiny
from tests.support.site.publishing import Site, ask
from tests.support.site.updating_device import UpdatingDevice


class Memory(FetcherInterface):
    """All files of a hub as they were when it was last copied; whole, or a 404."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.files: dict[str, bytes] = {}
        self.copy()

    def copy(self) -> None:
        hub = self._site.catalogue.hub
        folders = (("metadata", hub / "metadata"), ("targets", hub / "targets"))
        self.files |= {f"{n}/{p.name}": p.read_bytes() for n, folder in folders for p in folder.iterdir()}

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = "/".join(urlsplit(url).path.rsplit("/", 2)[1:])
        if name not in self.files:
            raise DownloadHTTPError(f"{name}: not here", 404)
        return iter([self.files[name]])

    def resume(self, url: str, path: Path, length: int, progress: Callable[[int], None]) -> None:
        path.write_bytes(b"".join(self._fetch(url)))
        progress(length)


@pytest.fixture
def clock(monkeypatch, site):
    """Frozen for the box and for whoever signs; `clock.go(timedelta)` moves it."""
    start = real.datetime.now(real.UTC).replace(microsecond=0)
    state = SimpleNamespace(now=start)

    class Frozen(real.datetime):
        @classmethod
        def now(cls, tz=None):
            return state.now

    moved = SimpleNamespace(datetime=Frozen, timezone=real.timezone)
    monkeypatch.setattr(trusted_metadata_set, "datetime", moved)
    monkeypatch.setattr(tuf_client, "datetime", Frozen)
    monkeypatch.setattr(site, "now", lambda: state.now)
    for one in (site.catalogue, site.hub):
        monkeypatch.setattr(one, "_now", lambda: state.now)
    monkeypatch.setattr(setup, "HubRepository", lambda folder, **more: _online(folder, state, **more))

    def go(by: timedelta) -> None:
        state.now += by

    return SimpleNamespace(go=go, state=state)


def _online(folder: Path, state, **more):
    from provisioning.publish.hub_repository import HubRepository

    def steady() -> float:
        seconds: float = state.now.timestamp()
        return seconds

    return HubRepository(folder, lambda: state.now, steady, **more)


@pytest.fixture
def memory(site) -> Memory:
    return Memory(site)


@pytest.fixture
def check(folder, site, memory, clock):
    shipped = tiny.make(folder / "shipped", "1.0.0")
    box = UpdatingDevice(folder / "box", site, SimpleNamespace(url="https://hub.invalid", cert=""), shipped)

    def one():
        memory.copy()
        return box.check(fetcher=memory)

    one.box = box
    return one


@pytest.mark.parametrize("role", ["root", "targets", "online"])
def test_a_key_is_changed_and_boxes_that_slept_through_it_follow(site, check, make, role: str) -> None:
    site.publish(make("1.1.0"))
    assert check().result == "switched"
    check.box.store.confirm()
    for _ in range(3):
        assert rotation.rotate(site.catalogue, role, (), ask)
        if role == "targets":
            setup.resign_targets(site.catalogue, setup.targets_signer(site.catalogue, None, ask))
    site.publish(make("1.2.0", seed=2))
    assert site.catalogue.root().signed.version == 4
    found = check()
    assert (found.result, found.text) == ("switched", "base-1.2.0")


def test_a_stolen_targets_key_counts_for_nothing_after_the_rotation(site, check, make) -> None:
    stolen = keys.load(site.catalogue.folder / "targets.key", ask)
    rotation.rotate(site.catalogue, "targets", (), ask)
    setup.resign_targets(site.catalogue, setup.targets_signer(site.catalogue, None, ask))
    setup.to_local_hub(site.catalogue)
    assert check().result == "nothing"
    from edge.inference import bundle as bundles
    from edge.releases import archive
    from edge.util.errors import UserError
    from provisioning.publish import bundle_checks

    path = make("6.6.6", seed=6)
    about = bundle_checks.release_of(bundles.load(path), 1, "stable")
    with pytest.raises(UserError, match="may not sign targets"):
        sign_targets(site.catalogue, stolen, put=[(about, archive.pack(path))])


def test_recovery_from_a_stolen_online_key(site, check, make, memory, clock) -> None:
    """The thief signs a timestamp of a far future version; with a new key the boxes take the honest one again."""
    from provisioning.publish.hub_repository import HubRepository

    site.publish(make("1.1.0"))
    assert check().result == "switched"
    check.box.store.confirm()
    thief = HubRepository(site.catalogue.hub)._signer()
    forged = Metadata[Timestamp].from_file(str(site.catalogue.hub / "metadata" / "timestamp.json"))
    forged.signed.version = 1_000_000
    forged.signatures.clear()
    forged.sign(thief)
    memory.files["metadata/timestamp.json"] = forged.to_bytes()
    assert check.box.check(fetcher=memory).result == "nothing"
    # The honest hub is now behind what the box has seen.
    site.publish(make("1.2.0", seed=2))
    assert check().code == "rollback"
    assert rotation.rotate(site.catalogue, "online", (), ask)
    setup.to_local_hub(site.catalogue)
    assert check().result == "switched"
    assert check.box.model() == "base-1.2.0"


@pytest.mark.parametrize(("role", "kind"), [("timestamp", Timestamp), ("snapshot", Snapshot)])
def test_a_stolen_online_key_cannot_sign_for_years(site, check, make, memory, clock, role, kind) -> None:
    """Else whoever has it, and the network of a device, withholds every release from it without being noticed."""
    from provisioning.publish.hub_repository import HubRepository

    site.publish(make("1.1.0"))
    memory.copy()
    thief = HubRepository(site.catalogue.hub)._signer()
    folder = site.catalogue.hub / "metadata"
    stamp = Metadata[Timestamp].from_file(str(folder / "timestamp.json"))
    version = stamp.signed.snapshot_meta.version
    name = "timestamp.json" if kind is Timestamp else f"{version}.snapshot.json"
    forged = Metadata[kind].from_file(str(folder / name))
    forged.signed.expires = clock.state.now + timedelta(days=3650)
    if kind is Timestamp:
        forged.signed.version += 1
    else:
        forged.signed.version = stamp.signed.snapshot_meta.version = version + 1
        name = f"{version + 1}.snapshot.json"
        stamp.signed.version += 1
        stamp.signatures.clear()
        stamp.sign(thief)
        memory.files["metadata/timestamp.json"] = stamp.to_bytes()
    forged.signatures.clear()
    forged.sign(thief)
    memory.files[f"metadata/{name}"] = forged.to_bytes()
    refused = check.box.check(fetcher=memory)
    assert (refused.result, refused.code) == ("failed", "invalid"), refused
    assert role in refused.text
    # With another online key the device is free of it.
    assert rotation.rotate(site.catalogue, "online", (), ask)
    setup.to_local_hub(site.catalogue)
    assert check().result == "switched"


def test_expired_metadata_stops_updates_and_never_inference(site, check, make, clock) -> None:
    site.publish(make("1.1.0"))
    assert check().result == "switched"
    check.box.store.confirm()
    clock.go(timedelta(days=4))
    found = check()
    assert (found.result, found.code, check.box.model()) == ("failed", "expired", "base-1.1.0")
    site.hub.refresh()
    assert check().result == "nothing"
    # The list itself ends after more than a year; the workstation signs it anew.
    clock.go(timedelta(days=401))
    site.hub.refresh()
    assert check().code == "expired"
    assert "targets" in site.catalogue.due()
    setup.resign_targets(site.catalogue, setup.targets_signer(site.catalogue, None, ask))
    setup.to_local_hub(site.catalogue)
    assert check().result == "nothing"


def test_the_hub_alone_keeps_the_timestamp_fresh_for_weeks(site, check, make, clock) -> None:
    site.publish(make("1.1.0"), percent=0)
    for _ in range(15):
        clock.go(timedelta(days=1))
        site.hub.refresh()
        assert check().result == "nothing"
    before = site.hub.timestamp().version
    site.hub.refresh()
    assert site.hub.timestamp().version == before, "it signs no more often than it has to"


def test_two_of_three_root_keys_have_to_sign(folder, make) -> None:
    site = Site(folder / "big", profile="site")
    shipped = tiny.make(folder / "other", "1.0.0")
    box = UpdatingDevice(folder / "box", site, SimpleNamespace(url="https://hub.invalid", cert=""), shipped)
    first, second = (site.catalogue.folder / f"root-{n}.key" for n in (1, 2))
    assert not rotation.rotate(site.catalogue, "online", [first], ask)
    assert site.catalogue.root().signed.version == 1
    assert rotation.sign(site.catalogue, [second], ask) == (True, "online")
    site.publish(make("1.1.0"))
    assert box.check(fetcher=Memory(site)).result == "switched"


@pytest.mark.parametrize("restarted", [True, False])
def test_a_hub_whose_clock_is_ten_years_ahead_signs_nothing_for_ten_years(site, restarted: bool) -> None:
    """Otherwise that timestamp could be shown to devices for ten years: no protection against a freeze any more."""
    from provisioning.publish.hub_repository import TIMESTAMP_DAYS, HubRepository

    wall = datetime.now(UTC)
    hub = HubRepository(site.catalogue.hub, lambda: wall)
    hub.refresh(force=True)
    right, wall = wall, wall + timedelta(days=3650)
    if restarted:
        hub = HubRepository(site.catalogue.hub, lambda: wall)
    hub.refresh(force=True)
    latest = right + timedelta(days=TIMESTAMP_DAYS) + timedelta(seconds=MAX_OFF_S if restarted else 3600)
    assert hub.timestamp().expires <= latest


def test_metadata_that_is_valid_too_far_ahead_is_signed_again(site, monkeypatch) -> None:
    from provisioning.publish.hub_repository import HubRepository

    now = datetime.now(UTC)
    wrong = HubRepository(site.catalogue.hub, lambda: now)
    monkeypatch.setattr(wrong, "_now", lambda: now + timedelta(days=365))
    wrong.refresh(force=True)
    hub = HubRepository(site.catalogue.hub, lambda: now)
    before = hub.timestamp().version
    hub.refresh()
    assert hub.timestamp().version > before
    assert hub.timestamp().expires <= now + timedelta(days=4)
    assert hub.snapshot().expires <= now + timedelta(days=15)


def test_a_workstation_whose_clock_cannot_be_right_signs_nothing(site, monkeypatch) -> None:
    from edge.util.errors import UserError

    for days in (-2, 3700):
        monkeypatch.setattr(
            site.catalogue, "_now", lambda days=days: datetime.now(UTC) + timedelta(days=days)
        )
        with pytest.raises(UserError, match="set the clock"):
            setup.resign_targets(site.catalogue, setup.targets_signer(site.catalogue, None, ask))


def test_a_workstation_that_signed_under_a_wrong_clock_goes_on_when_that_is_confirmed(
    site, monkeypatch
) -> None:
    """At the first signature 400 days ahead, which the right clock then contradicts for more than a year."""
    from edge.util.errors import UserError

    signer = setup.targets_signer(site.catalogue, None, ask)
    monkeypatch.setattr(site.catalogue, "_now", lambda: datetime.now(UTC) + timedelta(days=400))
    setup.resign_targets(site.catalogue, signer)
    again = Catalogue(site.catalogue.folder)
    with pytest.raises(UserError, match="--clock-is-right"):
        setup.resign_targets(again, signer)
    again.trust_clock()
    setup.resign_targets(again, signer)
    assert again.targets().signed.expires < datetime.now(UTC) + timedelta(days=TARGETS_DAYS + 1)
    # From now on the new signature is the evidence.
    late = Catalogue(again.folder, lambda: datetime.now(UTC) - timedelta(days=2))
    with pytest.raises(UserError, match="set the clock"):
        setup.resign_targets(late, signer)
