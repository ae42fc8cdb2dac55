"""The hub as a whole: run without Docker behind the very Caddyfile that is shipped, backed up and restored."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from dashboard.admin.simulate import fill, simulated_rooms
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from edge.cli.main import main
from provisioning.hub import denials
from tests.support.broker import free_port
from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGUMENTS, log_in
from tests.support.link import EarClient, LinkProcess
from tests.support.messages import utterance
from tests.support.site.fleet import Client
from tests.support.waiting import until

PARTS = ("mosquitto", "dashboard.db", "caddy", "recorder")


@pytest.fixture
def hub(tmp_path):
    if shutil.which("caddy") is None:
        pytest.fail("these tests need the TLS proxy: apt-get install caddy")
    https, mqtt = free_port(), free_port()
    log = tmp_path / "hub.log"
    place = Path(tempfile.mkdtemp(prefix="hub-"))
    # As root the broker is another user, who has to reach the folder.
    place.chmod(0o711)
    command = [
        sys.executable,
        "-m",
        "edge.cli.main",
        "hub",
        "run",
        "--dir",
        str(place / "hub"),
        "--host",
        "hub.local",
    ]
    command += ["--https-port", str(https), "--mqtt-port", str(mqtt)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        until(lambda: "  Device " in log.read_text() or process.poll() is not None, 90)
        assert process.poll() is None, log.read_text()
        yield process, place / "hub", https, mqtt, log
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        shutil.rmtree(place)


def test_a_box_publishes_over_tls_and_a_phone_sees_it_over_https(hub, tmp_path, artefacts):
    process, folder, https, mqtt, log = hub
    password = re.search(r"`operator` with the password (\S+)", log.read_text())[1]
    authority = tmp_path / "ca.crt"
    authority.write_bytes(
        _get(f"https://127.0.0.1:{https}/roomtone-ca.crt", ssl._create_unverified_context())
    )
    trusted = ssl.create_default_context(cafile=authority)
    assert b"Roomtone" in _get(f"https://127.0.0.1:{https}/login", trusted)
    assert (
        main(["fleet", "--site", str(folder / "site"), "enrol", "kitchen", "--out", f"{tmp_path}/k.join"])
        == 0
    )
    assert main(["join", f"{tmp_path}/k.join", "--to", f"{tmp_path}/kitchen", "--accept-unconfirmed"]) == 0
    settings = (
        "mqtt.host=127.0.0.1",
        "mqtt.tls=true",
        f"mqtt.ca_file={tmp_path}/kitchen/ca.crt",
        f"mqtt.cert_file={tmp_path}/kitchen/client.crt",
        f"mqtt.key_file={tmp_path}/kitchen/client.key",
        "node.name=Kitchen",
        "homeassistant.discovery=false",
    )
    with LinkProcess(tmp_path, mqtt, settings=settings) as link, EarClient(link.socket) as ear:
        ear.tell(utterance(1))
        with sync_playwright() as playwright:
            # The name leads here as it would by the network's DNS; the certificate is that of Caddy's own authority.
            resolve = f"--host-resolver-rules=MAP hub.local:{https} 127.0.0.1:{https}"
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=[*CHROMIUM_ARGUMENTS, resolve]
            )
            context = browser.new_context(ignore_https_errors=True, viewport={"width": 390, "height": 844})
            page = context.new_page()
            page.goto(f"https://hub.local:{https}/")
            log_in(page, "operator", password)
            expect(page.get_by_role("article", name="Kitchen")).to_be_visible(timeout=20_000)
            ear.tell(utterance(2))
            expect(page.locator(".rt-emotion")).to_have_text("Happy", timeout=20_000)
            assert page.evaluate("window.isSecureContext")
            assert "__Host-roomtone" in {cookie["name"] for cookie in context.cookies()}
            page.screenshot(path=artefacts / "hub-https-phone.png")
            # The hub's own broker: what it refuses is known.
            fleet = page.evaluate("fetch('/api/fleet').then(answer => answer.json())")
            assert isinstance(fleet["broker"]["denied"], list)
            # The dashboard's certificate is an operator's: the box obeys.
            page.goto(f"https://hub.local:{https}/try")
            expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
            browser.close()
    with Client(mqtt, tmp_path / "kitchen") as stolen:
        assert stolen.publish("roomtone/hall/event") >= 0x80
    file = folder / "data" / "broker-denials.json"
    until(lambda: ("kitchen", "publish") in {(one.client, one.kind) for one in denials.read(file).denials})
    database = sqlite3.connect(folder / "data" / "roomtone.db")
    until(lambda: database.execute("select count(*) from events").fetchone() == (2,))
    database.close()
    children = _children(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def _get(url: str, context: ssl.SSLContext) -> bytes:
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_backup_brings_everything_back_and_a_bad_one_nothing(place, tmp_path, capsys):
    if place.startswith("postgresql") and shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump here")
    engine = connect(place)
    migrate(engine)
    total = sum(
        new for _, new in fill(engine, simulated_rooms(2, 1), time.time(), days=2, per_day=60, seed=1)
    )
    assert main(["hub", "user", "add", "ann", "--generate", "--database", place]) == 0
    kept = tmp_path / "kept"
    assert main(["hub", "backup", "--to", str(kept), "--database", place]) == 0
    assert kept.stat().st_mode & 0o077 == 0 or place.startswith("postgresql")
    with engine.begin() as connection:
        connection.exec_driver_sql("delete from events")
    # A program that has the database open: with PostgreSQL a connection, here that of the engine.
    if place.startswith("postgresql"):
        assert main(["hub", "restore", str(kept), "--replace", "--database", place]) == 2
    engine.dispose()
    assert main(["hub", "restore", str(kept), "--database", place]) == 2
    bad = tmp_path / "bad"
    bad.write_bytes(kept.read_bytes()[:9000])
    assert main(["hub", "restore", str(bad), "--replace", "--database", place]) == 2
    assert main(["hub", "restore", str(kept), "--replace", "--database", place]) == 0
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from events").scalar() == total
        assert connection.exec_driver_sql("select name from users").scalar() == "ann"
    engine.dispose()
    assert not list(tmp_path.glob(".*.part"))
