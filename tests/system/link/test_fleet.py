"""A site of `roomtone fleet` with a real mosquitto on the shipped configuration: who gets in, and who may do what."""

import json
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from cryptography.x509 import load_pem_x509_certificate

from edge.cli.main import main
from provisioning.fleet.authority import new_key, now_utc
from provisioning.fleet.site import open_site
from tests.support.broker import free_port
from tests.support.link import EarClient, LinkProcess
from tests.support.messages import utterance
from tests.support.site.fleet import Client, FleetSite
from tests.support.waiting import until
from tests.system.link.test_metrics_and_forget import scrape

ROOM = "roomtone/kitchen"


def warnings(link):
    """The codes of its warnings."""
    return [line.partition("[")[2].partition("]")[0] for line in link.lines if line.startswith("WARNING")]


def refused(site, tmp_path, settings, code, node="kitchen"):
    """The link with these settings gives exactly one warning, with this code."""
    with LinkProcess(tmp_path, site.port, node=node, settings=tuple(settings)) as link:
        until(lambda: warnings(link), 20)
        time.sleep(0.3)
        assert warnings(link) == [code], link.log + site.broker.log[-2000:]
        assert "connected" not in link.codes


def test_a_client_without_a_certificate(site, tmp_path):
    ca = site.settings(site.folder / "device-kitchen")[:3]
    refused(site, tmp_path, ca, "certificate_required")


def test_a_certificate_of_another_site(site, tmp_path):
    other = FleetSite(tmp_path / "other")
    place = other.join("kitchen")
    settings = [
        *site.settings(place)[:2],
        site.settings(site.folder / "device-kitchen")[2],
        *site.settings(place)[3:],
    ]
    refused(site, tmp_path, settings, "certificate_unknown_ca")


def test_the_broker_of_another_site(site, tmp_path):
    other = FleetSite(tmp_path / "other")
    refused(site, tmp_path, other.device("kitchen"), "broker_certificate_unknown_ca")


def test_a_certificate_that_has_expired(site, tmp_path):
    place = site.join("attic")
    with open_site(site.folder / "site") as folder:
        public = new_key()
        old = folder.authority.issue_client(
            "attic", "device", public.public_key(), now_utc() - timedelta(minutes=30), 0
        )
    from provisioning.fleet.authority import cert_pem, key_pem

    (place / "client.crt").write_text(cert_pem(old))
    (place / "client.key").write_text(key_pem(public))
    with LinkProcess(tmp_path, site.port, node="attic", settings=site.settings(place)) as link:
        until(lambda: len(warnings(link)) == 2, 20)
        # Its own look at the certificate and the broker's answer come in any order.
        assert set(warnings(link)) == {"certificate_expires", "certificate_expired"}
        assert "`roomtone fleet renew attic`" in link.coded("certificate_expires")[0]


def test_commands_under_a_clock_that_is_ahead_lock_no_device_out(site, monkeypatch):
    """Neither the revocation list nor a certificate becomes valid only then, also when the clock is right again."""
    ahead = now_utc() + timedelta(days=400)
    with monkeypatch.context() as patched:
        for module in ("site", "commands", "proof"):
            patched.setattr(f"provisioning.fleet.{module}.now_utc", lambda: ahead)
        place = site.join("cellar")
        site.fleet("enrol", "gone")
        site.fleet("revoke", "gone")
    for one in (place, site.folder / "device-kitchen"):
        with Client(site.port, one) as client:
            assert client.publish(f"roomtone/{one.name.removeprefix('device-')}/event") < 0x80
    site.fleet("revoke", "cellar")
    with pytest.raises((OSError, AssertionError)):
        Client(site.port, place, port_wait=3)


def test_a_clock_before_the_site_issues_nothing(site, monkeypatch):
    monkeypatch.setattr("provisioning.fleet.site.now_utc", lambda: now_utc() - timedelta(days=400))
    arguments = ["fleet", "--site", str(site.folder / "site"), "enrol", "early"]
    assert main(arguments) == 2
    monkeypatch.undo()
    site.fleet("enrol", "early")


def test_a_broker_under_a_name_that_its_certificate_does_not_have(site, tmp_path):
    with FleetSite(tmp_path / "elsewhere", hosts=("elsewhere.local",)) as other:
        refused(other, tmp_path, other.device("kitchen"), "broker_certificate_other_host")


def test_a_device_cannot_pretend_to_be_the_broker(site, tmp_path):
    """With its own certificate as that of a server, on the broker's address."""
    place = site.folder / "device-study"
    with FleetSite(tmp_path / "false") as false:
        for name, source in (
            ("ca.crt", "ca.crt"),
            ("broker.crt", "client.crt"),
            ("broker.key", "client.key"),
        ):
            (false.folder / "broker" / name).write_bytes((place / source).read_bytes())
        false.broker.stop()
        false.broker.start()
        settings = [*site.settings(site.folder / "device-kitchen")]
        with LinkProcess(tmp_path, false.port, settings=tuple(settings)) as link:
            until(lambda: warnings(link), 20)
            assert warnings(link)[0].startswith("broker_certificate_")


def test_prometheus_reads_when_the_certificate_ends(site, tmp_path):
    place, port = site.folder / "device-kitchen", free_port()
    settings = (*site.settings(place), f"runtime.metrics_port={port}")
    with LinkProcess(tmp_path, site.port, settings=settings) as link:
        until(lambda: "connected" in link.codes)
        ends = scrape(port)["roomtone_certificate_expiry_timestamp_seconds"]
    assert (
        ends == load_pem_x509_certificate((place / "client.crt").read_bytes()).not_valid_after_utc.timestamp()
    )


def test_a_stolen_device_cannot_take_the_place_of_another(site, kitchen):
    with Client(site.port, site.folder / "device-study", client_id="roomtone-kitchen"):
        time.sleep(1)
        assert kitchen.codes.count("connected") == 1
    assert "already connected" not in site.broker.log.rpartition("u'kitchen'")[2]


def test_a_device_under_the_name_of_another_says_whose_certificate_it_has(site, tmp_path):
    settings = site.settings(site.folder / "device-study")
    with LinkProcess(tmp_path, site.port, settings=settings) as link, EarClient(link.socket) as ear:
        ear.tell(utterance(1))
        until(lambda: "events_refused" in link.codes)
        lines = link.coded("not_authorized")
        assert any(f"(topic {ROOM}/event)" in line for line in lines)
        # A line for each topic that it cannot read, one for its events, and one for all else that it cannot write.
        unread = [line.partition("cannot read ")[2].partition(":")[0] for line in lines]
        assert sorted(unread) == ["", "", f"{ROOM}/availability", f"{ROOM}/cmd/+"]
        for line in lines:
            assert "this device's certificate is for 'study', and its `node.id` is 'kitchen'" in line


def test_a_revoked_device_is_cut_off_within_seconds_and_comes_never_again(tmp_path):
    """The device's own connection ends, by nothing but the command; and the command says so only then."""
    with FleetSite(tmp_path / "fleet") as site:
        stolen, kitchen, page = site.device("stolen"), site.device("kitchen"), site.join("page", "operator")
        (tmp_path / "k").mkdir()
        with (
            LinkProcess(tmp_path, site.port, node="stolen", settings=stolen) as link,
            LinkProcess(tmp_path / "k", site.port, settings=kitchen) as other,
            EarClient(other.socket) as ear,
        ):
            until(lambda: "connected" in link.codes and "connected" in other.codes)
            began = time.monotonic()
            site.fleet("revoke", "stolen")
            took = time.monotonic() - began
            until(lambda: warnings(link), 1, "it is disconnected when the command says so")
            until(lambda: "certificate_revoked" in link.codes, 20)
            ear.tell(utterance(1))
            until(lambda: other.codes.count("connected") == 2, 20, "the other device is back")
            back = time.monotonic() - began
            until(lambda: ear.acks)
            assert link.codes.count("connected") == 1
            print(f"cut off after {took:.2f} s; the others were back after {back:.1f} s")
            assert took < 5, "two seconds on a quiet machine"
        # Nothing of it is retained: no page shows it as a device that is offline.
        with Client(site.port, page) as reader:
            reader.subscribe("roomtone/#")
            until(lambda: any(one.topic == "roomtone/kitchen/info" for one in reader.messages))
            assert not [one.topic for one in reader.messages if one.topic.startswith("roomtone/stolen/")]
        # The same name again, for the box that takes its place.
        site.fleet("enrol", "stolen", "--out", tmp_path / "again.join")
        site.unpack(tmp_path / "again.join", tmp_path / "again")
        with Client(site.port, tmp_path / "again") as client:
            assert client.publish("roomtone/stolen/event") < 0x80


def test_a_running_link_takes_a_renewed_certificate_at_its_next_connection(tmp_path):
    with FleetSite(tmp_path / "fleet") as site:
        settings = site.device("kitchen", "--days", 10)
        (site.folder / "device-kitchen.join").unlink()
        with LinkProcess(tmp_path, site.port, settings=settings) as link:
            until(lambda: {"connected", "certificate_expires"} <= set(link.codes))
            assert "in 9 days" in link.coded("certificate_expires")[0]
            site.fleet("renew", "--due")
            site.unpack(site.folder / "site" / "joins" / "kitchen.join", site.folder / "device-kitchen")
            site.restart()
            until(lambda: link.codes.count("connected") == 2, 30)


def test_the_broker_shows_a_renewed_certificate(tmp_path):
    with FleetSite(tmp_path / "fleet") as site:
        site.fleet("renew", "broker")
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-showcerts"]
        shown = subprocess.run(command, input=b"", capture_output=True, check=False).stdout.decode()
        assert (site.folder / "site" / "broker" / "broker.crt").read_text().strip() in shown


def test_a_message_that_is_too_large_is_refused_by_the_broker(site, operator):
    operator._client.publish(f"{ROOM}/cmd/mute", "x" * 20_000, qos=1)
    assert operator.disconnected.wait(10)


def test_the_doctor_looks_at_the_broker_and_leaves_the_running_link_alone(site, kitchen):
    def doctor():
        command = [
            sys.executable,
            "-m",
            "edge.cli.main",
            "doctor",
            "--json",
            "--set",
            f"runtime.socket={kitchen.socket}",
        ]
        for setting in (
            *site.settings(site.folder / "device-kitchen"),
            f"mqtt.port={site.port}",
            "node.id=kitchen",
        ):
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        return next(check for check in json.loads(done.stdout) if check["name"] == "broker")

    assert (doctor()["state"], doctor()["detail"].partition(" answers")[2]) == (
        "ok",
        ", TLS, and takes our certificate",
    )
    assert kitchen.codes.count("connected") == 1
