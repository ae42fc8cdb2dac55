"""Fleet, Alerts, and what one can do on the pages, in a real browser; and that nobody but an operator can."""

from __future__ import annotations

import http.server
import json
import re
import signal
import threading
import time

import msgspec
import pytest
from playwright.sync_api import expect

from edge import protocol
from edge.protocol import Command, Response
from provisioning.hub.denials import Denials, read
from tests.support.dashboard import Dashboard, Recorder, health, open_page
from tests.support.guarded_dashboard import DESKTOP, PHONE, SPANISH, Guarded, open_guarded
from tests.support.messages import event_of, healthy, timestamp
from tests.support.waiting import until


@pytest.fixture
def hub(mosquitto, tmp_path, rooms):
    recorder = Recorder(mosquitto, tmp_path)
    recorder.start()
    database = f"sqlite:///{recorder.file}"
    child = Dashboard(
        tmp_path, "--broker", mosquitto.url, "--database", database, "--no-try-it", "--notify", "127.0.0.0/8"
    )
    try:
        recorder.wait_connected()
        url = child.address()
        until(lambda: health(url)["broker"] == "connected")
        yield url, recorder
    finally:
        child.kill()
        recorder.stop(signal.SIGKILL)
    assert "Traceback" not in child.log, child.log


def hot_or_not(node):
    expires = timestamp(time.time() + 400 * 86_400)
    return healthy(temperature_c=51.0 if node == "kitchen" else 84.0, certificate_expires=expires)


def test_the_fleet_says_what_is_wrong_and_what_to_do(browser, hub, rooms, artefacts):
    url, _ = hub
    for node, mic in (("kitchen", "ok"), ("hall", "lost"), ("study", "muted")):
        rooms.appear(node, node.capitalize(), mic)
        rooms.publish(node, protocol.HEALTH, hot_or_not(node))
    rooms.publish("study", protocol.EVENT, "not an event")
    until(lambda: health(url)["rooms"] == 3 and health(url)["ignored"] == 1)
    for name, options, foreign, words in (
        (
            "desktop",
            DESKTOP,
            "cannot be known",
            ("3 devices · 1 needs attention · 1 with a warning", "84 °C", "No microphone", "OK"),
        ),
        ("phone", PHONE, "cannot be known", ("3 devices · 1 needs attention", "Check the cable")),
        (
            "spanish",
            SPANISH,
            "no se puede saber",
            ("3 dispositivos · 1 necesita atención · 1 con una advertencia", "Sin micrófono", "Silenciado"),
        ),
    ):
        with open_page(browser, url, "/fleet", **options) as (page, trouble):
            expect(page.locator(".rt-device[data-node]")).to_have_count(3)
            for word in words:
                expect(page.get_by_text(word).first).to_be_visible()
            expect(page.locator(".rt-device[data-node]").first).to_have_attribute("data-node", "hall")
            page.locator(".rt-devices summary").click()
            expect(page.locator(".rt-refusals li")).to_contain_text("study")
            expect(page.locator(".rt-broker")).to_contain_text(foreign)
            page.screenshot(path=artefacts / f"fleet-{name}.png", full_page=True)
            # The first page counts the same.
            page.goto(f"{url}/")
            expect(page.locator(".rt-count").first).to_have_text(
                re.compile(f"^3 .* · {words[0].split(' · ')[1]}$")
            )
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert not trouble, trouble


def test_the_broker_card_says_what_the_broker_itself_refused_and_to_whom(
    browser, mosquitto, tmp_path, artefacts
):
    file = tmp_path / "denials.json"
    child = Dashboard(tmp_path, "--broker", mosquitto.url, "--no-try-it", "--broker-denials", str(file))
    try:
        url = child.address()
        hostile = "<img src=x onerror=alert(1)>" + "w" * 100
        denials = Denials()
        denials.save(file)
        with open_page(browser, url, "/fleet", **PHONE) as (page, trouble):
            card = page.locator(".rt-broker")
            expect(card).to_contain_text("refused nothing since its start")
            for topic in ("roomtone/hall/event", f"roomtone/{hostile}"):
                denials.add(f"1: Denied PUBLISH from kitchen (d0, q1, r0, m1, '{topic}', ... (2 bytes))")
            denials.add(f"1: Client {hostile} disconnected, not authorised.")
            until(lambda: denials.save(file) or len(read(file).denials) == 2)
            page.reload()
            card.get_by_text("What the broker itself refused (2)").click()
            entries = card.locator(".rt-denials li")
            expect(entries).to_have_count(2)
            expect(entries.last).to_contain_text("kitchen may not publish, 2 times, last")
            expect(entries.first).to_contain_text("<img src=x")
            page.screenshot(path=artefacts / "fleet-denials-phone.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert not trouble, trouble
    finally:
        child.kill()


def test_an_alert_reaches_page_broker_and_webhook_and_ends(browser, hub, rooms, artefacts):
    url, recorder = hub
    posted, told = [], []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rooms.client.on_message = lambda _c, _u, m: told.append(json.loads(m.payload))
    rooms.client.subscribe("roomtone/fleet/alert", 1)
    rooms.appear("kitchen", "Kitchen")
    with open_page(browser, url, "/alerts", **DESKTOP) as (page, trouble):
        page.get_by_label("Name").fill("Somebody shouts")
        page.get_by_label("When").select_option(label="An emotion is frequent")
        page.get_by_label("Webhook").fill("http://192.168.1.5/hook")
        page.get_by_role("button", name="Create rule").click()
        refused = page.locator("#rt-webhook-refused")
        expect(refused).to_have_text(re.compile("^not a public address; .* --notify 192.168.1.5$"))
        page.screenshot(path=artefacts / "alerts-refused.png", full_page=True)
        assert [text for text in trouble if "422" not in text] == []
        trouble.clear()
        page.get_by_label("Webhook").fill(f"http://127.0.0.1:{server.server_port}/hook")
        page.get_by_role("button", name="Create rule").click()
        expect(page.get_by_text("Angry for 10 min above 60 %")).to_be_visible()
        for n in range(6):
            rooms.publish("kitchen", protocol.EVENT, event_of("angry", time.time() - n, seq=n + 1))
        until(lambda: recorder.count() == 6)
        expect(page.locator(".rt-alert.is-on")).to_contain_text("Kitchen", timeout=40_000)
        until(lambda: posted and told)
        assert (posted[0]["state"], posted[0]["share"], posted[0]["room"]) == ("on", 1.0, "Kitchen")
        assert told == posted
        for n in range(10):
            rooms.publish("kitchen", protocol.EVENT, event_of("happy", time.time() - n, seq=n + 7))
        expect(page.locator(".rt-alert")).to_contain_text("until", timeout=40_000)
        page.screenshot(path=artefacts / "alerts-desktop.png", full_page=True)
        page.get_by_role("button", name="Delete rule Somebody shouts").click()
        expect(page.get_by_text("No rules yet")).to_be_visible()
        assert not trouble, trouble
    server.shutdown()


def test_a_room_is_muted_exported_and_erased_on_its_page(browser, hub, rooms, artefacts):
    url, recorder = hub

    def obey(client, _userdata, message):
        command = msgspec.json.decode(message.payload, type=Command)
        client.publish(
            "roomtone/kitchen/resp/mute", protocol.encode(Response(transaction=command.transaction, ok=True))
        )
        client.publish("roomtone/kitchen/mic", "muted", retain=True)

    rooms.client.on_message = obey
    rooms.client.subscribe("roomtone/kitchen/cmd/mute", 1)
    rooms.appear("kitchen", "Kitchen")
    for n in range(30):
        rooms.publish("kitchen", protocol.EVENT, event_of("sad", time.time() - n, seq=n + 1))
    until(lambda: recorder.count() == 30)
    with open_page(browser, url, "/room/kitchen", **PHONE) as (page, trouble):
        page.get_by_role("button", name="Mute Kitchen").click()
        expect(page.get_by_role("button", name="Unmute Kitchen")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        assert download.value.path().read_text().count("\n") == 31
        page.goto(f"{url}/room/kitchen?date=2020-01-01")
        with page.expect_download() as download:
            page.get_by_role("link", name="Export the whole room").click()
        assert download.value.path().read_text().count("\n") == 31
        page.get_by_role("button", name="Erase the whole room").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("all recorded data of Kitchen")
        page.screenshot(path=artefacts / "erase-phone.png")
        dialog.get_by_role("button", name="Cancel").click()
        assert recorder.count() == 30
        page.get_by_role("button", name="Erase the whole room").click()
        dialog.get_by_role("button", name="Erase", exact=True).click()
        until(lambda: recorder.count() == 0)
        expect(page.locator(".rt-row")).to_have_count(0, timeout=15_000)
        assert not [said for said in trouble if "events.csv" not in said], trouble
    # The recorder does not take what was erased for a gap and ask for it.
    time.sleep(2.5)
    assert recorder.query("select asked from boots") == [(0,)]


def test_a_viewer_is_shown_no_button_that_they_may_not_press(browser, mosquitto, tmp_path, rooms):
    guarded = Guarded(tmp_path, mosquitto)
    password = guarded.user("vera")
    rooms.appear("kitchen", "Kitchen")
    try:
        with open_guarded(browser, guarded.url, "vera", password) as page:
            expect(page.get_by_role("article", name="Kitchen")).to_be_visible()
            expect(page.get_by_role("button", name="Mute Kitchen")).to_have_count(0)
            page.goto(f"{guarded.url}/alerts")
            expect(page.get_by_text("Changing rules needs the role operator.")).to_be_visible()
        with open_guarded(browser, guarded.url, "operator", guarded.password) as page:
            expect(page.get_by_role("button", name="Mute Kitchen")).to_be_visible()
    finally:
        guarded.child.kill()


def test_language_and_theme_are_the_readers_choice_and_are_remembered(browser, url, rooms, artefacts):
    for n, emotion in enumerate(("happy", "sad", "uncertain", "neutral")):
        rooms.appear(f"room-{n}", f"Room {n}")
        rooms.publish(f"room-{n}", protocol.EVENT, event_of(emotion, time.time() - n, seq=1))
    with open_page(browser, url, "/", **DESKTOP) as (page, trouble):
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.get_by_role("button", name="Dark or light").click()
        dark = page.evaluate(background)
        assert light != dark
        page.get_by_role("button", name="Español").click()
        expect(page.get_by_role("heading", name="Salas")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "es"
        assert page.evaluate(background) == dark
        page.screenshot(path=artefacts / "rooms-spanish-dark.png")
        page.goto(f"{url}/room/room-1?wall")
        expect(page.get_by_role("heading", name="Room 1").first).to_be_visible()
        expect(page.locator(".rt-header")).to_be_hidden()
        page.goto(f"{url}/?wall")
        expect(page.locator(".rt-header")).to_be_hidden()
        page.set_viewport_size({"width": 1920, "height": 1080})
        page.screenshot(path=artefacts / "wall.png")
        assert not trouble, trouble
