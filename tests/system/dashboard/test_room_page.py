"""The page of one room: the recorder writes, the page reads, and what is said now comes live."""

from __future__ import annotations

import signal
import time

import pytest
from playwright.sync_api import expect

from edge import protocol
from tests.support.dashboard import Dashboard, Recorder, health, open_page
from tests.support.messages import event_of
from tests.support.waiting import until


def noon_somewhere() -> str:
    """A time zone where the last 140 minutes were on one day, whenever the test runs."""
    hours = 12 - time.gmtime().tm_hour
    # In names of this kind the sign says the opposite: Etc/GMT-5 is east of Greenwich.
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


DESKTOP = {"viewport": {"width": 1280, "height": 800}, "timezone_id": noon_somewhere()}
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "timezone_id": noon_somewhere(),
    "is_mobile": True,
    "color_scheme": "dark",
}


@pytest.fixture
def place(mosquitto, tmp_path, rooms):
    recorder = Recorder(mosquitto, tmp_path)
    recorder.start()
    recorder.wait_connected()
    rooms.appear("kitchen", "Kitchen")
    emotions = ("neutral", "happy", "neutral", "sad", "uncertain", "angry", "neutral")
    for n in range(140):
        message = event_of(
            emotions[n % 7], time.time() - 60 * (140 - n), seq=n + 1, confidence=0.45 if n % 7 == 4 else 0.7
        )
        rooms.publish("kitchen", protocol.EVENT, message)
    until(lambda: recorder.count() == 140, 20)
    child = Dashboard(tmp_path, "--broker", mosquitto.url, "--database", f"sqlite:///{recorder.file}")
    url = child.address()
    until(lambda: health(url)["rooms"] == 1)
    yield url, recorder
    child.kill()
    if recorder.running:
        recorder.stop(signal.SIGKILL)


@pytest.mark.parametrize(("name", "options"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_it_shows_the_day_the_week_and_what_is_said_now(browser, place, rooms, artefacts, name, options):
    url, recorder = place
    with open_page(browser, url, "/room/kitchen", **options) as (page, trouble):
        expect(page.locator("h1")).to_have_text("Kitchen")
        expect(page.locator(".rt-chart canvas")).to_have_count(3, timeout=10_000)
        expect(page.locator(".rt-row")).to_have_count(100)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator(".rt-row")).to_have_count(140)
        rooms.publish("kitchen", protocol.EVENT, event_of("surprised", time.time(), seq=141))
        expect(page.locator(".rt-row").first).to_contain_text("Surprised", timeout=15_000)
        expect(page.locator(".rt-emotion")).to_have_text("Surprised")
        until(lambda: recorder.count() == 141)
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.get_by_role("button", name="Share", exact=True)).to_have_attribute("aria-pressed", "true")
        page.get_by_text("Show as table").click()
        expect(page.get_by_role("columnheader", name="Surprised")).to_be_visible()
        page.get_by_text("Show as table").click()
        page.wait_for_timeout(300)
        page.screenshot(path=artefacts / f"room-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not trouble, trouble


def test_a_tile_leads_to_its_room_and_back(browser, place):
    url, _ = place
    with open_page(browser, url) as (page, _):
        page.get_by_role("link", name="Kitchen").click()
        expect(page.locator(".rt-chart canvas")).to_have_count(3, timeout=10_000)
        page.get_by_role("link", name="All rooms").click()
        expect(page.locator(".rt-tile")).to_have_count(1)


def test_a_dashboard_that_starts_later_shows_what_was_said_before(browser, place):
    url, _ = place
    with open_page(browser, url) as (page, _):
        expect(page.locator(".rt-emotion")).to_have_text("Neutral")
        expect(page.locator(".rt-row")).to_have_count(20)


def test_a_database_that_is_gone_is_said_and_the_live_part_goes_on(browser, place, rooms):
    url, recorder = place
    recorder.stop(signal.SIGTERM)
    recorder.file.unlink()
    with open_page(browser, url, "/room/kitchen") as (page, _):
        expect(page.get_by_text("The database does not answer.")).to_be_visible()
        rooms.publish("kitchen", protocol.EVENT, event_of("surprised", time.time(), seq=141))
        expect(page.locator(".rt-emotion")).to_have_text("Surprised", timeout=15_000)


def test_a_room_that_does_not_exist_is_said(browser, place):
    url, _ = place
    for path in ("/room/nowhere", "/room/%3Cscript%3E"):
        with open_page(browser, url, path) as (page, trouble):
            expect(page.get_by_text("There is no data for this room.")).to_be_visible()
            assert not trouble, trouble


def test_without_a_recorder_the_page_says_how_to_get_one(browser, url, rooms):
    rooms.appear("kitchen", "Kitchen")
    until(lambda: health(url)["rooms"] == 1)
    with open_page(browser, url, "/room/kitchen") as (page, trouble):
        expect(page.get_by_text("roomtone recorder")).to_be_visible()
        assert not trouble, trouble
