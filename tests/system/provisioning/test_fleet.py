"""A site's folder: what `roomtone fleet` and `roomtone join` write, and what they refuse."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.cli.main import main
from edge.config.load import load
from edge.config.options import overrides
from edge.util.errors import NotInForceError

NOT_IN_FORCE = NotInForceError.status
UNCONFIRMED = "--accept-unconfirmed"
"""These sites have no broker: what is done in the folder is done, and said not to be in force."""


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    assert fleet(folder, "init", "--broker", "hub.local", "--broker", "192.168.1.10") == 0
    return folder


def fleet(folder, *words):
    return main(["fleet", "--site", str(folder), *map(str, words)])


def listed(site, capsys):
    capsys.readouterr()
    assert fleet(site, "list", "--json") == 0
    return {row["serial"]: row for row in json.loads(capsys.readouterr().out)}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_secrets_are_for_the_owner_alone(site):
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE
    assert {mode(p) for p in (site, site / "broker", site / "joins")} == {0o700}
    secrets = [site / "ca.key", site / "broker" / "broker.key", site / "joins" / "kitchen.join"]
    assert {mode(p) for p in secrets} == {0o600}
    for path in site.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            assert path in secrets


def test_an_existing_site_is_never_overwritten(site, capsys):
    before = files(site)
    assert fleet(site, "init", "--broker", "other") == 2
    assert str(site) in capsys.readouterr().err
    assert files(site) == before


def test_a_site_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("provisioning.fleet.site.Site.save", fails)
    assert fleet(tmp_path / "site", "init", "--broker", "hub") == 2
    assert list(tmp_path.iterdir()) == []


def test_certificates_are_p256_and_good_for_one_side_only(site, tmp_path):
    fleet(site, "enrol", "kitchen")
    main(["join", str(site / "joins" / "kitchen.join"), "--to", str(tmp_path / "k"), UNCONFIRMED])
    ca, broker, device = (
        certificate(p)
        for p in (site / "ca.crt", site / "broker" / "broker.crt", tmp_path / "k" / "client.crt")
    )
    for one in (ca, broker, device):
        assert one.public_key().curve.name == "secp256r1"
        one.verify_directly_issued_by(ca)
    usage = [
        list(c.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) for c in (broker, device)
    ]
    assert usage == [[ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.CLIENT_AUTH]]
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub.local"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.10"]
    assert device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "kitchen"


def test_join_writes_files_and_prints_settings_that_the_configuration_takes(site, tmp_path, capsys):
    fleet(site, "enrol", "kitchen")
    capsys.readouterr()
    target = tmp_path / "etc" / "site"
    assert main(["join", str(site / "joins" / "kitchen.join"), "--to", str(target), UNCONFIRMED]) == 0
    out = capsys.readouterr()
    (tmp_path / "room.toml").write_text(out.out)
    config = load(tmp_path / "room.toml")
    assert (config.node.id, config.mqtt.host, config.mqtt.port, config.mqtt.tls) == (
        "kitchen",
        "hub.local",
        8883,
        True,
    )
    key = load_pem_private_key((target / "client.key").read_bytes(), None)
    assert key.public_key() == certificate(target / "client.crt").public_key()
    assert mode(target / "client.key") == 0o600
    assert mode(target) == 0o700
    assert b"PRIVATE KEY" not in (target / "join.json").read_bytes()
    assert str(site / "joins" / "kitchen.join") in out.err
    assert main(["join", str(site / "joins" / "kitchen.join"), "--to", str(target), "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert load(None, settings).mqtt == config.mqtt
    assert overrides([f"node.id={settings['node.id']}"]) == {"node.id": "kitchen"}


def test_a_key_that_was_made_at_the_device_never_leaves_it(site, tmp_path, capsys):
    device = tmp_path / "device"
    device.mkdir()
    key, request = device / "kitchen.key", device / "kitchen.csr"
    assert fleet(site, "request", "kitchen", "--key", key, "--out", request) == 0
    assert mode(key) == 0o600
    assert fleet(site, "enrol", "kitchen", "--csr", request) == NOT_IN_FORCE
    join = site / "joins" / "kitchen.join"
    assert b"PRIVATE KEY" not in join.read_bytes()
    assert main(["join", str(join), "--to", str(device / "site"), UNCONFIRMED]) == 2
    assert "--key" in capsys.readouterr().err
    assert not (device / "site").exists()
    assert main(["join", str(join), "--to", str(device / "site"), "--key", str(key), UNCONFIRMED]) == 0
    assert (device / "site" / "client.key").read_bytes() == key.read_bytes()
    assert key.read_bytes() not in b"".join(files(site).values())


def test_a_request_that_openssl_made_is_taken_and_another_curve_is_not(site, tmp_path, capsys):
    import subprocess

    for curve, status in (("prime256v1", NOT_IN_FORCE), ("secp384r1", 2)):
        request = tmp_path / f"{curve}.csr"
        command = [
            "openssl",
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            f"ec_paramgen_curve:{curve}",
            "-nodes",
        ]
        command += ["-subj", "/CN=anything", "-keyout", str(tmp_path / "key"), "-out", str(request)]
        subprocess.run(command, check=True, capture_output=True)
        assert fleet(site, "enrol", f"box-{curve}", "--csr", request) == status
    assert "P-256" in capsys.readouterr().err


def test_a_name_is_enrolled_once_and_again_after_it_was_revoked(site, capsys):
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE, "a repeat looks at the broker again"
    assert len(listed(site, capsys)) == 2, "and enrols nothing"
    assert fleet(site, "revoke", "kitchen") == NOT_IN_FORCE
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE
    rows = [row for row in listed(site, capsys).values() if row["name"] == "kitchen"]
    assert [(row["revoked"] is None, row["current"]) for row in rows] == [(False, False), (True, True)]


def test_the_list_of_revoked_ones_names_them_and_never_runs_out_before_the_authority(site, capsys):
    for name in ("kitchen", "study"):
        fleet(site, "enrol", name)
        fleet(site, "revoke", name)
    listing = x509.load_pem_x509_crl((site / "broker" / "crl.pem").read_bytes())
    ca = certificate(site / "ca.crt")
    assert listing.is_signature_valid(ca.public_key())
    serials = {f"{one.serial_number:x}" for one in listing}
    # The third is that of the probe, by which a broker shows that it has this list.
    assert serials > {s for s, row in listed(site, capsys).items() if row["revoked"]}
    assert len(serials) == 3
    assert listing.next_update_utc == ca.not_valid_after_utc


def test_every_list_is_newer_than_the_one_before(site):
    times = []
    for name in ("a", "b", "c"):
        fleet(site, "enrol", name)
        fleet(site, "revoke", name)
        times.append(x509.load_pem_x509_crl((site / "broker" / "crl.pem").read_bytes()).last_update_utc)
    assert times[0] < times[1] < times[2]


def test_renewing_keeps_the_key_and_makes_no_secret(site, tmp_path, capsys):
    target = tmp_path / "k"
    join = site / "joins" / "kitchen.join"
    fleet(site, "enrol", "kitchen", "--days", 10)
    main(["join", str(join), "--to", str(target), UNCONFIRMED])
    join.unlink()  # as the text says
    old, key = certificate(target / "client.crt"), (target / "client.key").read_bytes()
    assert fleet(site, "renew", "--due") == 0
    assert b"PRIVATE KEY" not in join.read_bytes()
    assert main(["join", str(join), "--to", str(target)]) == 0
    new = certificate(target / "client.crt")
    assert (target / "client.key").read_bytes() == key
    assert new.public_key() == old.public_key()
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc > datetime.now(UTC) + timedelta(days=700)
    capsys.readouterr()
    before = files(site)
    assert fleet(site, "renew", "--due") == 0
    assert files(site) == before


def test_renewing_one_that_was_not_carried_to_its_client_keeps_the_only_copy_of_its_key(site):
    fleet(site, "enrol", "kitchen")
    join = site / "joins" / "kitchen.join"
    key = json.loads(join.read_text())["key"]
    assert fleet(site, "renew", "kitchen") == 0
    assert json.loads(join.read_text())["key"] == key
    assert mode(join) == 0o600


def test_the_broker_is_renewed_like_the_others(site):
    before = certificate(site / "broker" / "broker.crt")
    key = (site / "broker" / "broker.key").read_bytes()
    assert fleet(site, "renew", "broker") == NOT_IN_FORCE
    after = certificate(site / "broker" / "broker.crt")
    assert after.serial_number != before.serial_number
    assert (site / "broker" / "broker.key").read_bytes() == key
    names = [c.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for c in (before, after)]
    assert names[0] == names[1]


@pytest.mark.parametrize("name", ["fleet", "broker", "Kitchen", "a/b", "+", "#", "", "a" * 65, "ä"])
def test_names_that_would_reach_beyond_their_own_topics_are_refused(site, name, capsys):
    before = files(site)
    assert fleet(site, "enrol", "--", name) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert files(site) == before


def test_a_join_file_that_cannot_be_written_enrols_nobody(site, tmp_path, capsys, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("provisioning.fleet.commands._write_join", fails)
    assert fleet(site, "enrol", "kitchen") == 2
    assert "kitchen" in capsys.readouterr().err
    assert [row["name"] for row in listed(site, capsys).values()] == ["broker"]
    monkeypatch.undo()
    existing = tmp_path / "existing"
    existing.write_text("mine")
    assert fleet(site, "enrol", "kitchen", "--out", existing) == 2
    assert existing.read_text() == "mine"


@pytest.fixture
def group(site, tmp_path, capsys):
    """`fleet group` of a site with keys and the devices attic and study; returns what it says."""
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery\n")
    fleet(site, "enrol", "attic")
    fleet(site, "enrol", "study")
    url = "https://hub.invalid/updates"
    assert fleet(site, "keys", "init", "--url", url, "--passphrase-file", secret) == 0

    def run(*words, status=0):
        capsys.readouterr()
        assert fleet(site, "group", *words) == status
        return capsys.readouterr().err

    return run


def test_a_group_says_which_of_its_devices_are_not_enrolled(group, site):
    said = group("upstairs", "attic", "bath")
    assert said == "upstairs: attic, bath\nbath is not enrolled here; `roomtone fleet list` shows the names\n"
    assert group("upstairs", "attic", "study") == "upstairs: attic, study\n"
    fleet(site, "revoke", "study")
    assert "bath, study are not enrolled" in group("upstairs", "attic", "bath", "study")
    assert group("upstairs") == "upstairs: removed\n"


def test_a_group_without_the_certificates_of_the_site_is_taken_as_it_is(group, site):
    (site / "issued.json").unlink()
    assert group("upstairs", "bath") == "upstairs: bath\n"


def test_a_name_that_no_device_can_have_is_refused_in_words(group):
    said = group("upstairs", "attic", "Bad Name", status=2)
    assert 'must be 1 to 64 of a-z, 0-9, `_` and `-`, not "Bad Name"' in said
    assert "regex" not in said


def test_an_address_without_https_is_refused_in_words(site, capsys):
    assert fleet(site, "keys", "init", "--url", "http://hub.invalid") == 2
    said = capsys.readouterr().err
    assert '`url` must be an address that begins with https://, not "http://hub.invalid"' in said
