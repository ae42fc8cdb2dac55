"""What a hub's folder has: an operator for pushes, and the releases of its own site."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509

from edge.config import join_file
from edge.config.join_file import ABOUT
from edge.util.errors import UserError
from provisioning.fleet import authority
from provisioning.fleet import site as sites
from provisioning.fleet.records import SiteSettings
from provisioning.hub import addresses, setup
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


def settings_of(folder: Path) -> SiteSettings:
    with sites.open_site(folder / "site") as site:
        return site.settings


def names_in(certificate: Path) -> set[str]:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_other_names_are_applied_everywhere_and_old_ones_stay(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    prepare(folder)
    before = settings_of(folder)
    setup.prepare(folder, ["new.local, https://192.168.1.10"], None, owner=OWNER)
    after = settings_of(folder)
    assert after.hosts[:2] == ("new.local", "192.168.1.10")
    assert set(before.hosts) < set(after.hosts)
    assert after.port == before.port
    # Where the broker reads it, and with the file that has the broker restarted.
    assert names_in(folder / "broker" / "broker.crt") == set(after.hosts)
    assert after.probe.generation in (folder / "broker" / "generation").read_text()
    setup.prepare(folder, [], None, owner=OWNER)
    assert settings_of(folder) == after, "nothing given is nothing changed"


def test_another_port_is_applied_everywhere_while_no_device_would_be_lost(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    prepare(folder)
    port = free_port()
    setup.prepare(folder, [], port, owner=OWNER)
    assert settings_of(folder).port == port
    assert f"listener {port}\n" in (folder / "broker" / "mosquitto.conf").read_text()
    for name in ("dashboard", "recorder", "push"):
        about = join_file.read(folder / name / ABOUT)
        assert about.port == port, name
        assert (folder / name / "client.key").is_file()
    with sites.open_site(folder / "site") as site:
        site.enrol("kitchen", "device", authority.new_key().public_key(), 30)
        site.save()
    with pytest.raises(UserError, match="kitchen"):
        setup.prepare(folder, [], free_port(), owner=OWNER)
    assert settings_of(folder).port == port


def test_a_port_of_the_pages_by_which_devices_get_no_models_is_refused(tmp_path: Path) -> None:
    site = tmp_path / "hub" / "site"
    prepare(tmp_path / "hub")
    addresses.require_same_pages(site, ["hub.local"], 9443)
    (site / "models").mkdir()
    (site / "models" / "about.json").write_text('{"url": "https://hub.local:8443/updates"}')
    addresses.require_same_pages(site, ["hub.local"], 8443)
    with pytest.raises(UserError, match="8443"):
        addresses.require_same_pages(site, ["hub.local"], 9443)


def test_a_name_that_the_authority_may_not_sign_for_is_said(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "hub"
    prepare(folder)
    setup.prepare(folder, ["nas.lan"], None, owner=OWNER)
    assert "/phone" not in capsys.readouterr().err
    setup.prepare(folder, ["hub.example.org"], None, owner=OWNER)
    assert "/phone" in capsys.readouterr().err


def test_a_site_that_cannot_be_used_leaves_no_folder(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("not a site")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "ca.key").write_text("no key")
    for site in (notes, damaged, notes / "a.txt"):
        with pytest.raises(UserError):
            prepare(tmp_path / "hub", site=site)
        assert not (tmp_path / "hub").exists()
    assert (notes / "a.txt").read_text() == "not a site"
