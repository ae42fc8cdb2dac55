"""Every page as phones, laptops and walls show it, light and dark, in both languages: pictures, axe, console."""

from __future__ import annotations

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe

from dashboard.admin.simulate import fill, simulated_rooms
from dashboard.db.engine import connect
from edge import protocol
from tests.support.dashboard import Recorder, Rooms, Trouble
from tests.support.guarded_dashboard import elsewhere, guarded_hub
from tests.support.messages import event_of, healthy

PAGES = {
    "/": ".rt-tile",
    "/?wall": ".rt-wall-tiles .rt-tile",
    "/room/{node}": ".rt-chart canvas",
    "/room/{node}?view=week&compare=previous": ".rt-chart canvas",
    "/room/{node}?view=month": ".rt-date",
    "/fleet": ".rt-device[data-node]",
    "/add": ".rt-field input",
    "/models": ".rt-models li",
    "/alerts": ".rt-form",
    "/try": ".rt-record",
    "/account": ".rt-people li",
    "/phone": ".rt-phone",
    "/no/such/page": "h1",
}
NODE = simulated_rooms(1, 1)[0].node
EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain")
LIVE = {"kitchen": "ok", "study": "lost", "hall": "muted"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    more = ("--guest-links", "--enrol", "roomtone fleet --site hub/site enrol")
    with guarded_hub(folder, *more, try_it=True) as (made, broker):
        recorder = Recorder(broker, folder, file=made.file)
        rooms = Rooms(broker)
        try:
            recorder.start()
            recorder.wait_connected()
            engine = connect(made.database)
            list(fill(engine, simulated_rooms(12, 1), time.time(), days=35, per_day=24, seed=1))
            engine.dispose()
            for node, mic in LIVE.items():
                rooms.appear(node, node.capitalize(), mic)
                rooms.publish(node, protocol.HEALTH, healthy(temperature_c=84.0 if node == "hall" else 51.0))
            for n, emotion in enumerate(EMOTIONS * 2):
                rooms.publish("kitchen", protocol.EVENT, event_of(emotion, time.time() - 100 + n, seq=n + 1))
            yield made
        finally:
            rooms.close()
            recorder.kill()


@pytest.mark.long
@pytest.mark.timeout(420)
@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440, 1920])
def test_every_page(browser, guarded, artefacts, width, scheme, locale):
    height = {390: 844, 1440: 900, 1920: 1080}[width]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale,
        timezone_id="Europe/Madrid", is_mobile=width == 390, extra_http_headers=elsewhere(),
    )  # fmt: skip
    page = context.new_page()
    page.goto(f"{guarded.url}/login")
    page.locator("input[name=name]").fill("operator")
    page.locator("input[name=password]").fill(guarded.password)
    page.locator("form button").click()
    page.wait_for_selector(".rt-tile")
    found = {}
    try:
        for path, ready in PAGES.items():
            trouble = Trouble()
            shown = context.new_page()
            trouble.watch(shown, guarded.url)
            shown.goto(guarded.url + path.format(node=NODE))
            shown.wait_for_selector(ready)
            shown.wait_for_timeout(400)
            name = re.sub("[^a-z]+", "-", path.replace("{node}", "").strip("/")) or "rooms"
            shown.screenshot(
                path=artefacts / f"every-{name}-{width}-{scheme}-{locale[:2]}.png", full_page=True
            )
            violations = Axe().run(shown).response["violations"]
            wide = shown.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            # The page that does not exist is answered with 404.
            said = [text for text in trouble if "/no/such/page" not in text and "404 (Not Found)" not in text]
            problems = [*said, *((v["id"], v["nodes"][0]["html"]) for v in violations)]
            if wide > 0:
                problems.append(f"{wide} px too wide")
            if shown.evaluate("document.documentElement.lang") != locale[:2]:
                problems.append("another language")
            if problems:
                found[path] = problems
            shown.close()
    finally:
        context.close()
    assert not found, found
