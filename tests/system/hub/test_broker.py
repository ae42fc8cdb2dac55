"""The hub's own broker: `fleet` takes effect without a restart by hand, and a database that cannot be loaded."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.config import join_file
from edge.protocol import topics
from edge.util.errors import NotInForceError
from provisioning.hub import denials, setup
from provisioning.hub.broker import DATABASE, SET_ASIDE
from tests.support.broker import free_port
from tests.support.link import LinkProcess
from tests.support.site.fleet import Client
from tests.support.waiting import until


class HubBroker:
    """`hub setup` and `hub broker` as programs, without the rest of the hub."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder / "hub", free_port()
        self.log = folder / "broker.log"
        self.denials = folder / "denials.json"
        setup.prepare(self.folder, ["localhost"], self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "edge.cli.main", "hub", "broker", "--listen", "127.0.0.1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self.folder / "broker"), "--denials", str(self.denials)],
                stdout=log,
                stderr=log,
            )

    def ready(self, times: int = 1) -> None:
        until(lambda: self.log.read_text(errors="replace").splitlines().count("ready") >= times, 30)

    def fleet(self, *words: object) -> int:
        return main(["fleet", "--site", str(self.folder / "site"), *map(str, words)])

    def join(self, node: str) -> Path:
        joined = self.folder / f"{node}.join"
        assert self.fleet("enrol", node, "--out", joined) == 0
        place = self.folder / node
        join_file.unpack(join_file.read(joined), place)
        return place

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(20) == 0


@pytest.fixture
def hub(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        # As root the broker is another user, who has to reach the folder.
        Path(folder).chmod(0o711)
        monkeypatch.chdir(folder)
        made = HubBroker(Path(folder))
        yield made
        made.stop()


def test_a_device_is_enrolled_and_revoked_while_the_hub_runs(hub, tmp_path):
    hub.start()
    hub.ready()
    place = hub.join("kitchen")
    names = ("ca_file=ca.crt", "cert_file=client.crt", "key_file=client.key")
    files = tuple(f"mqtt.{key}={place / name}" for key, _, name in (one.partition("=") for one in names))
    settings = ("mqtt.host=localhost", "mqtt.tls=true", *files, "homeassistant.discovery=false")
    with LinkProcess(tmp_path, hub.port, settings=settings) as link:
        until(lambda: "connected" in link.codes)
        began = time.monotonic()
        assert hub.fleet("revoke", "kitchen") == 0
        took = time.monotonic() - began
        until(lambda: "certificate_revoked" in link.codes, 20)
        assert link.codes.count("connected") == 1
    print(f"revoked, seen, after {took:.2f} s")
    assert took < 5, "two seconds on a quiet machine"
    context = ssl.create_default_context(cafile=str(place / "ca.crt"))
    context.load_cert_chain(place / "client.crt", place / "client.key")
    with (
        socket.create_connection(("localhost", hub.port), 5) as plain,
        pytest.raises(ssl.SSLError) as refused,
    ):
        context.wrap_socket(plain, server_hostname="localhost").recv(1)
    assert "REVOKED" in str(refused.value)


def test_a_revocation_while_the_hub_is_off_is_said_not_to_be_in_force(hub, capsys):
    hub.start()
    hub.ready()
    hub.join("kitchen")
    hub.stop()
    assert hub.fleet("revoke", "kitchen") == NotInForceError.status
    assert "NOT IN FORCE" in capsys.readouterr().err
    hub.start()
    hub.ready(times=3)
    assert hub.fleet("revoke", "kitchen") == 0


def test_what_the_broker_refuses_is_counted_by_client(hub):
    hub.start()
    hub.ready()
    place = hub.join("kitchen")

    def counted():
        report = denials.read(hub.denials)
        return {(one.client, one.kind): (one.count, one.topic) for one in report.denials}

    with Client(hub.port, place) as client:
        assert client.publish("roomtone/kitchen/event") < 0x80
        assert client.subscribe("roomtone/kitchen/cmd/+") < 0x80
        assert not [key for key in counted() if key[0]]
        assert client.publish("roomtone/hall/event") == 0x87
        assert client.publish("roomtone/study/event") == 0x87
        assert client.subscribe("roomtone/hall/cmd/+") >= 0x80
        expected = {
            ("kitchen", "publish"): (2, "roomtone/study/event"),
            ("kitchen", "subscribe"): (1, "roomtone/hall/cmd/+"),
        }
        until(lambda: {key: value for key, value in counted().items() if key[0]} == expected, 20, counted)
    assert "Denied PUBLISH" not in hub.log.read_text(), "the log is for people"
    without = ssl.create_default_context(cafile=str(place / "ca.crt"))
    with socket.create_connection(("localhost", hub.port), 5) as plain, pytest.raises(OSError):
        without.wrap_socket(plain, server_hostname="localhost").recv(1)
    until(lambda: counted().get(("", "no_certificate")) == (1, ""), 20, counted)


def test_a_broker_that_cannot_load_its_database_starts_with_an_empty_one(hub):
    """mosquitto ends without a word there, at every start."""
    data = hub.folder / "broker-data"
    (data / DATABASE).write_bytes(b"\x00" * 100)
    hub.start()
    hub.ready()
    assert (data / SET_ASIDE).read_bytes() == b"\x00" * 100
    assert "[broker_database]" in hub.log.read_text()
    with Client(hub.port, hub.join("kitchen")) as client:
        assert client.publish("roomtone/kitchen/event") < 0x80


def test_a_broker_whose_retained_messages_are_more_than_its_memory_is_back_by_itself(hub):
    """What a device can have retained is bounded by its rights; what it fills here is a smaller broker."""
    hub.start()
    hub.ready()
    place = hub.join("kitchen")
    with Client(hub.port, place) as client:
        for topic in topics.TOPICS:
            assert client.publish(f"roomtone/kitchen/{topic.leaf}", "x" * 16_000, retain=True) < 0x80
    hub.stop()
    config = hub.folder / "broker" / "mosquitto.conf"
    text, changed = re.subn(r"memory_limit \d+", "memory_limit 150000", config.read_text())
    assert changed == 1
    config.write_text(text)
    ready = hub.log.read_text().splitlines().count("ready")
    hub.start()
    hub.ready(times=ready + 1)
    assert (hub.folder / "broker-data" / SET_ASIDE).stat().st_size > 150_000
    with Client(hub.port, place) as client:
        assert client.publish("roomtone/kitchen/availability", "online", retain=True) < 0x80


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's broker is the user's")
def test_mosquitto_never_runs_as_root(hub):
    hub.start()
    hub.ready()
    until(lambda: _mosquitto_of(hub) is not None)
    status = Path(f"/proc/{_mosquitto_of(hub)}/status").read_text()
    assert "\nUid:\t0\t" not in status
    for path in hub.folder.rglob("mosquitto.conf"):
        assert "\nuser " not in f"\n{path.read_text()}"


def _mosquitto_of(hub: HubBroker) -> int | None:
    assert hub._process is not None
    own = hub._process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return int(children[0]) if children else None
