"""A site's folder: what `roomtone fleet` and `roomtone join` write, and what they refuse."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.cli.main import main
from edge.config.load import load
from edge.config.options import overrides


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
    assert fleet(site, "enrol", "kitchen") == 0
    assert {mode(p) for p in (site, site / "broker", site / "joins")} == {0o700}
    secrets = [site / "ca.key", site / "broker" / "broker.key", site / "joins" / "kitchen.join"]
    assert {mode(p) for p in secrets} == {0o600}
    for path in site.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            assert path in secrets


def test_an_existing_site_is_never_overwritten(site, capsys):
    before = files(site)
    assert fleet(site, "init", "--broker", "other") == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert files(site) == before


def test_a_site_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("provisioning.fleet.site.Site.save", fails)
    assert fleet(tmp_path / "site", "init", "--broker", "hub") == 2
    assert list(tmp_path.iterdir()) == []


def test_certificates_are_p256_and_good_for_one_side_only(site, tmp_path):
    fleet(site, "enrol", "kitchen")
    main(["join", str(site / "joins" / "kitchen.join"), "--to", str(tmp_path / "k")])
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
    assert main(["join", str(site / "joins" / "kitchen.join"), "--to", str(target)]) == 0
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
    assert "delete" in out.err
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
    assert fleet(site, "enrol", "kitchen", "--csr", request) == 0
    join = site / "joins" / "kitchen.join"
    assert b"PRIVATE KEY" not in join.read_bytes()
    assert main(["join", str(join), "--to", str(device / "site")]) == 2
    assert "--key" in capsys.readouterr().err
    assert not (device / "site").exists()
    assert main(["join", str(join), "--to", str(device / "site"), "--key", str(key)]) == 0
    assert (device / "site" / "client.key").read_bytes() == key.read_bytes()
    assert key.read_bytes() not in b"".join(files(site).values())


def test_a_request_that_openssl_made_is_taken_and_another_curve_is_not(site, tmp_path, capsys):
    import subprocess

    for curve, status in (("prime256v1", 0), ("secp384r1", 2)):
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
    assert fleet(site, "enrol", "kitchen") == 0
    assert fleet(site, "enrol", "kitchen") == 2
    assert "is enrolled until" in capsys.readouterr().err
    assert fleet(site, "revoke", "kitchen") == 0
    assert fleet(site, "enrol", "kitchen") == 0
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
    assert serials == {s for s, row in listed(site, capsys).items() if row["revoked"]}
    assert len(serials) == 2
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
    main(["join", str(join), "--to", str(target)])
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
    assert fleet(site, "renew", "--due") == 0
    assert "nothing to renew" in capsys.readouterr().err


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
    assert fleet(site, "renew", "broker") == 0
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
    assert "nothing was enrolled" in capsys.readouterr().err
    assert [row["name"] for row in listed(site, capsys).values()] == ["broker"]
    monkeypatch.undo()
    existing = tmp_path / "existing"
    existing.write_text("mine")
    assert fleet(site, "enrol", "kitchen", "--out", existing) == 2
    assert existing.read_text() == "mine"


def test_deploying_fills_in_the_place_and_tells_the_broker(site, tmp_path):
    place, told = tmp_path / "mosquitto", tmp_path / "told"
    say = ("--reload", f"sh -c 'echo reload >> {told}'", "--restart", f"sh -c 'echo restart >> {told}'")
    owner = str(os.getuid())
    assert fleet(site, "deploy", "--to", place, "--data", tmp_path, "--owner", owner, *say) == 0
    text = (place / "mosquitto.conf").read_text()
    assert f"cafile {place}/ca.crt" in text
    assert f"persistence_location {tmp_path}/\n" in text
    assert "/mosquitto/config/" not in text.replace(str(place), "")
    assert mode(place / "broker.key") & 0o007 == 0
    fleet(site, "enrol", "kitchen")
    fleet(site, "enrol", "main", "--role", "recorder")
    fleet(site, "revoke", "kitchen")
    assert told.read_text().split() == ["restart", "restart", "reload", "restart"]
    assert (place / "crl.pem").read_bytes() == (site / "broker" / "crl.pem").read_bytes()
    assert "user recorder.main" in (place / "acl").read_text()


def test_a_broker_that_cannot_be_told_is_said_and_the_revocation_stands(site, tmp_path, capsys):
    fleet(site, "enrol", "kitchen")
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--reload", "true")
    assert fleet(site, "deploy", *where, "--restart", "true") == 0
    assert fleet(site, "deploy", *where, "--restart", "false") == 2
    assert "run it yourself" in capsys.readouterr().err
    assert fleet(site, "deploy", *where, "--restart", "/absent") == 2
    assert fleet(site, "revoke", "kitchen") == 2
    assert any(row["revoked"] for row in listed(site, capsys).values())


def test_a_damaged_site_is_said_and_not_mended(site, capsys):
    (site / "issued.json").write_text("[{]")
    assert fleet(site, "list") == 2
    assert "damaged" in capsys.readouterr().err
    (site / "ca.key").write_text("nonsense")
    assert fleet(site, "enrol", "kitchen") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "no", '{"roomtone_join": 2}', "[" * 100_000, "\x00\xff", '{"key": "' + "a" * 20_000 + '"}'],
)
def test_what_is_no_join_file_is_refused_and_leaves_nothing(tmp_path, text, capsys):
    (tmp_path / "j").write_text(text, encoding="latin-1")
    assert main(["join", str(tmp_path / "j"), "--to", str(tmp_path / "k")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "k").exists()


def test_the_key_of_the_authority_is_on_p256(site):
    key = load_pem_private_key((site / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_the_broker_knows_by_name_what_each_device_may_subscribe_to(site, tmp_path):
    def named():
        rights = json.loads((site / "broker" / "dynamic-security.json").read_bytes())
        roles = {role["rolename"]: role["acls"] for role in rights["roles"]}
        return {
            client["username"]: {rule["topic"] for one in client["roles"] for rule in roles[one["rolename"]]}
            for client in rights["clients"]
        }

    assert named() == {}
    fleet(site, "enrol", "kitchen")
    fleet(site, "enrol", "study")
    fleet(site, "enrol", "main", "--role", "operator")
    shared = {"roomtone/fleet/announce", "homeassistant/status", "#"}
    assert named() == {node: {f"roomtone/{node}/cmd/+", *shared} for node in ("kitchen", "study")}
    fleet(site, "revoke", "kitchen")
    assert set(named()) == {"study"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as sudo gives it")
def test_root_leaves_the_site_to_its_owner(site, tmp_path):
    for path in (site, *site.rglob("*")):
        os.chown(path, 1234, 1234)
    where = ("--to", tmp_path / "m", "--owner", "0", "--restart", "true")
    assert fleet(site, "deploy", *where) == 0
    assert fleet(site, "enrol", "kitchen") == 0
    assert {path.stat().st_uid for path in (site, *site.rglob("*"))} == {1234}
    assert {path.stat().st_uid for path in (tmp_path / "m").rglob("*")} == {0}


def test_an_enrolment_that_the_broker_was_not_told_of_stands_and_says_where_the_join_file_is(
    site, tmp_path, capsys
):
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--reload", "true", "--restart")
    assert fleet(site, "deploy", *where, "true") == 0
    assert fleet(site, "deploy", *where, "false") == 2
    capsys.readouterr()
    assert fleet(site, "enrol", "kitchen") == 2
    shown = capsys.readouterr()
    assert shown.out.strip() == str(site / "joins" / "kitchen.join")
    assert "run it yourself" in shown.err


def test_a_revocation_that_failed_at_the_broker_is_finished_by_the_same_command(site, tmp_path, capsys):
    told, broken = tmp_path / "told", tmp_path / "broken"
    restart = f"sh -c 'test ! -e {broken} && echo restart >> {told}'"
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--reload", "true", "--restart", restart)
    assert fleet(site, "deploy", *where) == 0
    assert fleet(site, "enrol", "kitchen") == 0
    broken.touch()
    assert fleet(site, "revoke", "kitchen") == 2
    broken.unlink()
    before = told.read_text()
    assert fleet(site, "revoke", "kitchen") == 0
    assert told.read_text() == before + "restart\n"
    crl = x509.load_pem_x509_crl((tmp_path / "m" / "crl.pem").read_bytes())
    assert len(list(crl)) == 1


def test_an_enrolment_that_failed_at_the_broker_is_finished_by_the_same_command(site, tmp_path):
    told, broken = tmp_path / "told", tmp_path / "broken"
    restart = f"sh -c 'test ! -e {broken} && echo restart >> {told}'"
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--reload", "true", "--restart", restart)
    assert fleet(site, "deploy", *where) == 0
    broken.touch()
    assert fleet(site, "enrol", "kitchen") == 2
    broken.unlink()
    assert fleet(site, "enrol", "kitchen") == 0
    assert told.read_text() == "restart\nrestart\n"
    assert fleet(site, "enrol", "kitchen") == 2


def test_deploy_remembers_its_place(site, tmp_path):
    told = tmp_path / "told"
    where = (
        "--to",
        tmp_path / "m",
        "--owner",
        str(os.getuid()),
        "--reload",
        "true",
        "--restart",
        f"sh -c 'echo x >> {told}'",
    )
    assert fleet(site, "deploy") == 2
    assert fleet(site, "deploy", *where) == 0
    (tmp_path / "m" / "acl").unlink()
    assert fleet(site, "deploy") == 0
    assert (tmp_path / "m" / "acl").exists()
    assert told.read_text() == "x\nx\n"


@pytest.mark.parametrize("command", [["revoke", "kitchen"], ["enrol", "study"], ["renew", "broker"]])
def test_without_the_right_to_restart_the_broker_nothing_is_changed(
    site, tmp_path, monkeypatch, capsys, command
):
    assert fleet(site, "enrol", "kitchen") == 0
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--reload", "true", "--restart", "true")
    assert fleet(site, "deploy", *where) == 0
    settings = json.loads((site / "site.json").read_text())
    settings["deployed"]["restart"] = "systemctl restart mosquitto"
    (site / "site.json").write_text(json.dumps(settings))
    before = files(site)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert fleet(site, *command) == 2
    assert "sudo" in capsys.readouterr().err
    assert files(site) == before
