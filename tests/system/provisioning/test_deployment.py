"""A site and its broker: deployment, revocation, and what is interrupted between them."""

import json
import os
import signal
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.cli.main import main
from edge.util.errors import NotInForceError
from provisioning.fleet import deployment, proof
from provisioning.fleet.site import open_site
from tests.support.site.fleet import FleetSite
from tests.support.waiting import until


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


NOT_IN_FORCE = NotInForceError.status


@pytest.fixture
def quick(monkeypatch):
    """Without a broker there is nothing to wait for."""
    monkeypatch.setattr(proof, "TIMEOUT_S", 0.0)


def test_deploying_fills_in_the_place_and_runs_the_command(site, tmp_path, quick):
    place, told = tmp_path / "mosquitto", tmp_path / "told"
    say = ("--restart", f"sh -c 'echo restart >> {told}'")
    owner = str(os.getuid())
    status = fleet(site, "deploy", "--to", place, "--data", tmp_path, "--owner", owner, *say)
    assert status == NOT_IN_FORCE, "there is no broker that could have it"
    text = (place / "mosquitto.conf").read_text()
    assert f"cafile {place}/ca.crt" in text
    assert f"persistence_location {tmp_path}/\n" in text
    assert "/mosquitto/config/" not in text.replace(str(place), "")
    assert mode(place / "broker.key") & 0o007 == 0
    fleet(site, "enrol", "kitchen")
    fleet(site, "enrol", "main", "--role", "recorder")
    fleet(site, "revoke", "kitchen")
    assert told.read_text().split() == ["restart"] * 4
    for name in ("crl.pem", "dynamic-security.json", "generation"):
        assert (place / name).read_bytes() == (site / "broker" / name).read_bytes()


@pytest.mark.parametrize("restart", ["", "true", "false", "/absent"])
@pytest.mark.parametrize(
    "command", [["deploy"], ["revoke", "kitchen"], ["enrol", "study"], ["renew", "broker"]]
)
def test_no_command_is_a_success_before_the_broker_shows_the_effect(
    site, tmp_path, quick, restart, command, capsys
):
    """Neither an empty command nor one that succeeds and restarts nothing."""
    fleet(site, "enrol", "kitchen")
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--restart", restart)
    fleet(site, "deploy", *where)
    capsys.readouterr()
    assert fleet(site, *command) == NOT_IN_FORCE
    capsys.readouterr()
    # The change itself stands: what is left is to bring it to the broker.
    rows = {(row["name"], row["revoked"] is not None) for row in listed(site, capsys).values()}
    assert ("kitchen", command[0] == "revoke") in rows
    assert (("study", False) in rows) == (command[0] == "enrol")


def test_a_broker_that_is_reached_by_hand_is_looked_at_by_a_repeat(tmp_path):
    """A site whose broker is elsewhere: `revoke` names the folder to carry, and is repeated then."""
    with FleetSite(tmp_path / "fleet") as running:
        running.join("kitchen")
        place = running.folder / "site"
        settings = json.loads((place / "site.json").read_text())
        settings["deployed"] = None
        (place / "site.json").write_text(json.dumps(settings))
        assert fleet(place, "revoke", "kitchen") == NOT_IN_FORCE
        assert fleet(place, "revoke", "kitchen") == NOT_IN_FORCE, "nothing was carried there"
        for name in ("crl.pem", "dynamic-security.json"):
            (running.folder / "broker" / name).write_bytes((place / "broker" / name).read_bytes())
        assert fleet(place, "revoke", "kitchen") == NOT_IN_FORCE, "the broker was not restarted"
        running.restart()
        assert fleet(place, "revoke", "kitchen") == 0


@pytest.mark.parametrize("withheld", ["crl.pem", "dynamic-security.json", "broker.crt"])
def test_each_file_that_does_not_arrive_is_noticed(tmp_path, withheld, monkeypatch):
    monkeypatch.setattr(proof, "TIMEOUT_S", 2.0)
    with FleetSite(tmp_path / "fleet") as site:
        place = site.folder / "site"
        site.join("kitchen")
        files = tuple(name for name in deployment.BROKER_FILES if name != withheld)
        monkeypatch.setattr(deployment, "BROKER_FILES", files)
        command = ("renew", "broker") if withheld == "broker.crt" else ("revoke", "kitchen")
        assert fleet(place, *command) == NOT_IN_FORCE
        monkeypatch.undo()
        assert fleet(place, *command) == 0


def test_a_connection_that_stays_open_is_noticed(tmp_path, monkeypatch):
    """A broker that reads the new list without a restart, as mosquitto does at SIGHUP."""
    with FleetSite(tmp_path / "fleet") as site:
        place = site.folder / "site"
        with open_site(place) as opened, proof.Prover(opened, "127.0.0.1") as prover:
            opened.require_broker()
            assert prover.hold()
            assert "another certificate" not in prover.missing()
            opened.save()
            (site.folder / "broker" / "crl.pem").write_bytes((place / "broker" / "crl.pem").read_bytes())
            os.kill(site.broker.pid, signal.SIGHUP)
            until(lambda: "still open" in prover.missing())


def test_a_damaged_site_is_said_and_not_mended(site, capsys):
    (site / "issued.json").write_text("[{]")
    assert fleet(site, "list") == 2
    assert "issued.json" in capsys.readouterr().err
    (site / "ca.key").write_text("nonsense")
    assert fleet(site, "enrol", "kitchen") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "no", '{"roomtone_join": 2}', "[" * 100_000, "\x00\xff", '{"key": "' + "a" * 20_000 + '"}'],
)
def test_what_is_no_join_file_is_refused_and_leaves_nothing(tmp_path, text, capsys):
    (tmp_path / "j").write_text(text, encoding="latin-1")
    assert main(["join", str(tmp_path / "j"), "--to", str(tmp_path / "k"), "--accept-unconfirmed"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "k").exists()


def test_the_key_of_the_authority_is_on_p256(site):
    key = load_pem_private_key((site / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_the_broker_knows_every_client_by_name(site):
    def named():
        rights = json.loads((site / "broker" / "dynamic-security.json").read_bytes())
        return {client["username"] for client in rights["clients"]} - {"fleet"}

    assert named() == set()
    fleet(site, "enrol", "kitchen")
    fleet(site, "enrol", "study")
    fleet(site, "enrol", "main", "--role", "operator")
    assert named() == {"kitchen", "study", "operator.main"}
    fleet(site, "revoke", "kitchen")
    assert named() == {"study", "operator.main"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as sudo gives it")
def test_root_leaves_the_site_to_its_owner(site, tmp_path, quick):
    for path in (site, *site.rglob("*")):
        os.chown(path, 1234, 1234)
    where = ("--to", tmp_path / "m", "--owner", "0", "--restart", "true")
    assert fleet(site, "deploy", *where) == NOT_IN_FORCE
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE
    assert {path.stat().st_uid for path in (site, *site.rglob("*"))} == {1234}
    assert {path.stat().st_uid for path in (tmp_path / "m").rglob("*")} == {0}


def test_an_enrolment_that_is_not_in_force_says_where_the_join_file_is(site, tmp_path, quick, capsys):
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--restart")
    assert fleet(site, "deploy", *where, "false") == NOT_IN_FORCE
    capsys.readouterr()
    assert fleet(site, "enrol", "kitchen") == NOT_IN_FORCE
    shown = capsys.readouterr()
    assert shown.out.strip() == str(site / "joins" / "kitchen.join")


@pytest.mark.parametrize("command", [("revoke", "kitchen"), ("enrol", "study")])
def test_what_failed_at_the_broker_is_finished_by_the_same_command(tmp_path, monkeypatch, command):
    with FleetSite(tmp_path / "fleet") as running:
        running.join("kitchen")
        place, broken = running.folder / "site", tmp_path / "broken"
        where = ("--restart", f"test ! -e {broken}")
        assert fleet(place, "deploy", *where) == 0
        broken.touch()
        with monkeypatch.context() as patched:
            patched.setattr(deployment, "BROKER_FILES", ())  # the disk of the broker is full, say
            assert fleet(place, *command) == NOT_IN_FORCE
        broken.unlink()
        assert fleet(place, *command) == 0
        crl = x509.load_pem_x509_crl((running.folder / "broker" / "crl.pem").read_bytes())
        # Beside the probe's.
        assert len(list(crl)) == 1 + (command[0] == "revoke")
        if command[0] == "enrol":
            assert fleet(place, *command) == 2, "it is enrolled"


def test_deploy_remembers_its_place(site, tmp_path, quick):
    told = tmp_path / "told"
    where = (
        "--to",
        tmp_path / "m",
        "--owner",
        str(os.getuid()),
        "--restart",
        f"sh -c 'echo x >> {told}'",
    )
    assert fleet(site, "deploy") == 2
    assert fleet(site, "deploy", *where) == NOT_IN_FORCE
    (tmp_path / "m" / "crl.pem").unlink()
    assert fleet(site, "deploy") == NOT_IN_FORCE
    assert (tmp_path / "m" / "crl.pem").exists()
    assert told.read_text() == "x\nx\n"


@pytest.mark.parametrize("command", [["revoke", "kitchen"], ["enrol", "study"], ["renew", "broker"]])
def test_without_the_right_to_restart_the_broker_nothing_is_changed(
    site, tmp_path, monkeypatch, capsys, quick, command
):
    fleet(site, "enrol", "kitchen")
    where = ("--to", tmp_path / "m", "--owner", str(os.getuid()), "--restart", "true")
    assert fleet(site, "deploy", *where) == NOT_IN_FORCE
    settings = json.loads((site / "site.json").read_text())
    settings["deployed"]["restart"] = "systemctl restart mosquitto"
    (site / "site.json").write_text(json.dumps(settings))
    before = files(site)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert fleet(site, *command) == 2
    assert "sudo" in capsys.readouterr().err
    assert files(site) == before
