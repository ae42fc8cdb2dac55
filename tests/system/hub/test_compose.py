"""The compose stack from a clean state, on a machine whose only image is a Debian: minutes, so `./run test --long`."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from edge.cli.main import main
from edge.config import join_file
from provisioning.demo.playback_dirs import default_rooms
from tests.conftest import ROOT
from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGUMENTS, log_in
from tests.support.machines import container, docker
from tests.support.machines.compose import Compose
from tests.support.site.fleet import Client
from tests.support.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(bool(docker.reason_to_skip()), reason=docker.reason_to_skip()),
    pytest.mark.skipif(bool(container.reason_to_skip()), reason=container.reason_to_skip()),
]
FILE = ROOT / "docker" / "compose.yaml"
FLEET = ("run", "--rm", "setup", "roomtone", "fleet", "--site", "/hub/keys/site")
NOT_AUTHORIZED = 0x87
SERVICES = ("broker", "recorder", "dashboard", "proxy")
PORTS = {"broker": 8883, "proxy": 8443}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docker")
    daemon = docker.Docker(folder)
    made = None
    try:
        daemon.start()
        daemon.import_base(container.bare("bookworm"), "roomtone-base")
        variables = {"ROOMTONE_BASE": "roomtone-base", "ROOMTONE_HOST": "localhost"}
        made = Compose(daemon, folder, FILE, PORTS, variables)
        made("build", within=3600)
        made("up", "-d")
        until(lambda: healthy(made), 300)
        yield made
    finally:
        if made is not None:
            made.close()
        daemon.stop()


def healthy(stack: Compose) -> bool:
    return stack.states(*SERVICES) == ["healthy"] * len(SERVICES)


def test_it_comes_up_and_the_demos_ear_publishes_into_it_over_mtls(stack, tmp_path):
    password = password_of(stack)
    joined = enrol(stack, "kitchen", tmp_path)
    assert main(["join", str(joined), "--to", str(tmp_path / "kitchen"), "--accept-unconfirmed"]) == 0
    (tmp_path / "rooms").mkdir()
    room = default_rooms(tmp_path / "rooms", 4.0, loop=True)[0]
    own = tmp_path / "kitchen"
    audio = [word for key, value in room.audio.items() for word in ("--set", f"audio.{key}={_text(value)}")]
    node = ["--set", "node.id=kitchen", "--set", f"runtime.socket={tmp_path}/l.sock"]
    mqtt = ("host=127.0.0.1", f"port={stack.ports['broker']}", "tls=true", f"ca_file={own}/ca.crt",
            f"cert_file={own}/client.crt", f"key_file={own}/client.key")  # fmt: skip
    link = [*node, *(word for one in mqtt for word in ("--set", f"mqtt.{one}"))]
    processes = []
    try:
        for words in (["link", *link], ["ear", *node, *audio]):
            with (tmp_path / f"{words[0]}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "edge.cli.main", *words],
                        stdin=subprocess.DEVNULL,
                        stderr=log,
                        stdout=log,
                    )
                )
        address = f"https://localhost:{stack.ports['proxy']}"
        unknown = ssl._create_unverified_context()
        authority = httpx.get(f"{address}/roomtone-ca.crt", verify=unknown).text
        with httpx.Client(base_url=address, verify=ssl.create_default_context(cadata=authority)) as client:
            until(lambda: client.get("/login").status_code == 200)
            assert client.post("/login", data={"name": "operator", "password": password}).status_code == 303
            # Recorded, and shown: the recorder's database is what the API reads.
            until(lambda: client.get("/api/rooms/kitchen/events").json().get("events"), 120)
            assert client.get("/api/models").json()["serves"]
            assert client.get("/api/fleet").json()["devices"][0]["node"] == "kitchen"
            # The dashboard's certificate is an operator's.
            assert client.post("/api/rooms/kitchen/commands/identify").json()["ok"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


def test_a_device_is_revoked_while_the_stack_runs(stack, tmp_path):
    """From the container that has the authority's key; the broker's restarts mosquitto."""
    join_file.unpack(join_file.read(enrol(stack, "study", tmp_path)), tmp_path / "study")
    with Client(stack.ports["broker"], tmp_path / "study") as client:
        assert client.publish("roomtone/study/event") < 0x80
        assert "in force at the broker" in stack(*FLEET, "revoke", "study")
        assert client.disconnected.wait(2)


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium")
def test_what_the_broker_refuses_and_to_whom_is_on_its_card(stack, tmp_path, artefacts):
    own = tmp_path / "attic"
    join_file.unpack(join_file.read(enrol(stack, "attic", tmp_path)), own)
    with Client(stack.ports["broker"], own) as client:
        assert client.publish("roomtone/attic/event") < 0x80
        assert client.publish("roomtone/kitchen/event") == NOT_AUTHORIZED
        assert client.subscribe("roomtone/kitchen/cmd/#") == NOT_AUTHORIZED
    # Another client: it has the address and no certificate.
    trusting = ssl.create_default_context(cafile=str(own / "ca.crt"))
    with (
        pytest.raises(OSError),
        socket.create_connection(("localhost", stack.ports["broker"]), 20) as raw,
        trusting.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        # With TLS 1.3 the refusal comes with the first answer.
        connection.recv(1)
        raise ConnectionError("closed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        page = chromium.new_page(ignore_https_errors=True, viewport={"width": 1440, "height": 900})
        page.goto(f"https://localhost:{stack.ports['proxy']}/login?next=/fleet")
        log_in(page, "operator", password_of(stack))
        card = page.locator(".rt-broker")
        expect(card).to_contain_text("What the broker itself refused", timeout=30_000)
        card.get_by_text("What the broker itself refused").click()
        page.screenshot(path=artefacts / "compose-broker-1440-light.png", full_page=True)
        for words in (
            ("attic", "may not publish", "roomtone/kitchen/event"),
            ("attic", "may not subscribe", "roomtone/kitchen/cmd/#"),
            ("Unknown client", "has no certificate"),
        ):
            row = card.locator(".rt-denials li")
            for word in words:
                row = row.filter(has_text=word)
            expect(row).to_have_count(1, timeout=30_000)
        chromium.close()


def test_nobody_in_there_is_root_or_writes_into_the_image_and_all_of_it_comes_back(stack):
    for service in SERVICES:
        said = stack("exec", "-T", service, "sh", "-c", "id -u; touch /opt/x 2>&1 || echo read-only")
        assert "10001" in said, service
        assert "read-only" in said.lower(), service
    stack("restart", within=300)
    until(lambda: healthy(stack), 300)
    time.sleep(1)
    assert "Traceback" not in stack("logs", "--no-color")


def password_of(stack):
    """That of the first operator, which the dashboard has printed once."""
    return re.search(r"`operator` with the password (\S+)", stack("logs", "--no-color", "dashboard"))[1]


def enrol(stack, node, folder):
    """The join file of a device, by the commands of docs/hub.md."""
    inside = f"/hub/data/{node}.join"
    assert "in force at the broker" in stack(*FLEET, "enrol", node, "--out", inside)
    joined = folder / f"{node}.join"
    joined.write_text(stack("exec", "-T", "dashboard", "cat", inside))
    stack("exec", "-T", "dashboard", "rm", inside)
    return joined


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
