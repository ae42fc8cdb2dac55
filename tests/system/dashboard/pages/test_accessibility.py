"""What axe-core finds on every page, in both colour schemes: nothing."""

from __future__ import annotations

import time

import pytest
from axe_playwright_python.sync_playwright import Axe

from edge import protocol
from tests.support.dashboard import Dashboard, Recorder, health, open_page
from tests.support.guarded_dashboard import Guarded
from tests.support.messages import event_of
from tests.support.waiting import until

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain")


@pytest.fixture
def hub(mosquitto, tmp_path, rooms):
    recorder = Recorder(mosquitto, tmp_path)
    recorder.start()
    recorder.wait_connected()
    for node, mic in (("kitchen", "ok"), ("study", "lost"), ("hall", "muted")):
        rooms.appear(node, node.capitalize(), mic)
    for n, emotion in enumerate(EMOTIONS * 2):
        rooms.publish("kitchen", protocol.EVENT, event_of(emotion, time.time() - 100 + n, seq=n + 1))
    rooms.publish("study", protocol.EVENT, event_of("sad", time.time() - 4000, seq=1))
    until(lambda: recorder.count() == 17)
    child = Dashboard(tmp_path, "--broker", mosquitto.url, "--database", f"sqlite:///{recorder.file}")
    url = child.address()
    until(lambda: health(url)["rooms"] == 3)
    yield url
    child.kill()
    recorder.stop(9)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_violation(browser, hub, scheme):
    found = {}
    for path, ready in (
        ("/", ".rt-emotion"),
        ("/room/kitchen", ".rt-chart canvas"),
        ("/try", ".rt-record"),
        ("/fleet", ".rt-device"),
        ("/models", ".rt-models li"),
        ("/alerts", ".rt-form"),
    ):
        with open_page(browser, hub, path, color_scheme=scheme) as (page, _):
            page.wait_for_selector(ready)
            page.wait_for_timeout(500)
            violations = Axe().run(page).response["violations"]
            found[path] = [(v["id"], v["nodes"][0]["html"]) for v in violations]
    assert not any(found.values()), found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_in_has_none_either(browser, mosquitto, tmp_path, scheme, artefacts):
    guarded = Guarded(tmp_path, mosquitto)
    context = browser.new_context(color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto(f"{guarded.url}/login")
        page.locator("input[name=name]").fill("operator")
        page.locator("input[name=password]").fill("not the password")
        page.keyboard.press("Enter")
        page.get_by_text("Name or password is wrong.").wait_for()
        page.screenshot(path=artefacts / f"login-{scheme}.png")
        violations = Axe().run(page).response["violations"]
        assert not violations, [(v["id"], v["nodes"][0]["html"]) for v in violations]
    finally:
        context.close()
        guarded.child.kill()
