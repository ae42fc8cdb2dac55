"""A site and its broker: deployment, revocation, and what is interrupted between them."""

import json
import os
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.cli.main import main


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
    assert named() == {
        node: {f"roomtone/{node}/cmd/+", f"roomtone/{node}/availability", *shared}
        for node in ("kitchen", "study")
    }
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
