"""What people come for, each within three clicks from the first page; typing a name or a date is no click."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.recorder.writer import Received, Writer
from edge import protocol
from tests.support.dashboard import Dashboard, Recorder, health, open_page
from tests.support.messages import event_of
from tests.support.waiting import until

ZONE = "Europe/Madrid"
DESKTOP = {"viewport": {"width": 1440, "height": 900}, "timezone_id": ZONE}
ENROL = "roomtone fleet --site /hub/site enrol"
MOST = 3


class Clicks:
    """Clicks for a person, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, locator):
        self.made += 1
        locator.click()

    def choose(self, locator, label):
        self.made += 1
        locator.select_option(label=label)


@pytest.fixture
def clicks():
    counted = Clicks()
    yield counted
    assert 0 < counted.made <= MOST, counted.made


def midnight(days_ago):
    today = datetime.now(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def last_tuesday():
    return midnight((midnight(0).weekday() - 1) % 7 or 7)


def record(file):
    """Three utterances on the evening of last Tuesday, one of them angry, and one yesterday at noon."""
    engine = connect(f"sqlite:///{file}")
    migrate(engine)
    evening = last_tuesday() + timedelta(hours=18)
    spoken = [(evening + timedelta(minutes=n), "angry" if n == 10 else "neutral") for n in (0, 10, 20)]
    spoken.append((midnight(1) + timedelta(hours=12), "happy"))
    writer = Writer(engine)
    writer.write(
        [
            Received("kitchen", event_of(emotion, at.timestamp(), seq=n + 1), round(at.timestamp() * 1000))
            for n, (at, emotion) in enumerate(spoken)
        ]
    )
    writer.set_room_name("kitchen", "Kitchen")
    engine.dispose()
    # Yesterday may have been a Tuesday.
    return [at for at, _ in spoken if at >= midnight(1)]


@pytest.fixture
def hub(mosquitto, tmp_path, rooms):
    with running_hub(mosquitto, tmp_path, rooms, "--no-try-it") as made:
        yield made


@contextmanager
def running_hub(mosquitto, folder, rooms, *more, **environment):
    """Recorder and dashboard with one room that is heard and one whose microphone is lost; both end with the block."""
    recorder = Recorder(mosquitto, folder)
    arguments = ("--broker", mosquitto.url, "--database", f"sqlite:///{recorder.file}", "--enrol", ENROL)
    child = None
    try:
        recorder.start()
        recorder.wait_connected()
        yesterday = record(recorder.file)
        rooms.appear("kitchen", "Kitchen")
        rooms.appear("hall", "Hall", "lost")
        child = Dashboard(
            folder, *arguments, "--device-broker", "mqtts://hub.local:8883", *more, **environment
        )
        url = child.address()
        until(lambda: health(url)["rooms"] == 2)
        yield url, recorder, yesterday
    finally:
        if child is not None:
            child.kill()
        recorder.kill()
    assert "Traceback" not in child.log, child.log


def test_how_was_last_tuesday_evening_in_the_kitchen(browser, hub, clicks):
    with open_page(browser, hub[0], **DESKTOP) as (page, _):
        clicks(page.get_by_role("link", name="Kitchen"))
        page.get_by_label("Go to a day").fill(last_tuesday().strftime("%Y-%m-%d"))
        evening = page.locator(".rt-row").filter(has=page.locator("time"))
        expect(evening.first).to_be_visible()
        expect(page.locator(".rt-row.is-angry")).to_contain_text(re.compile(r"6:10|18:10"))


def test_show_me_the_angry_minute_of_18_00(browser, hub, clicks):
    with open_page(browser, hub[0], **DESKTOP) as (page, _):
        clicks(page.get_by_role("link", name="Kitchen"))
        page.get_by_label("Go to a day").fill(last_tuesday().strftime("%Y-%m-%d"))
        expect(page.locator(".rt-row.is-angry")).to_be_visible()
        clicks(page.get_by_text("Show as table"))
        clicks(page.get_by_role("button", name=re.compile(r"^(6:00 PM|18:00)$")))
        expect(page.locator(".rt-row")).to_have_count(3)
        expect(page.locator(".rt-row.is-angry")).to_contain_text(re.compile(r"6:10|18:10"))


def test_which_device_needs_help_and_what_do_i_do(browser, hub, clicks):
    with open_page(browser, hub[0], **DESKTOP) as (page, _):
        clicks(page.get_by_role("link", name="Fleet"))
        first = page.locator(".rt-device[data-node]").first
        expect(first).to_have_attribute("data-node", "hall")
        expect(first.locator(".rt-problems")).to_contain_text("Check the cable")


def test_tell_me_when_it_gets_loud_for_ten_minutes(browser, hub, clicks):
    with open_page(browser, hub[0], **DESKTOP) as (page, _):
        clicks(page.get_by_role("link", name="Alerts"))
        page.get_by_label("Name").fill("Loud")
        clicks.choose(page.get_by_label("When"), "It gets loud")
        clicks(page.get_by_role("button", name="Create rule"))
        rule = page.locator(".rt-rules li")
        expect(rule).to_contain_text("Loud")
        expect(rule).to_contain_text("10 min")


def test_erase_yesterday(browser, hub, clicks):
    url, recorder, yesterday = hub
    with open_page(browser, url, **DESKTOP) as (page, _):
        clicks(page.get_by_role("link", name="Kitchen"))
        page.get_by_label("Go to a day").fill(midnight(1).strftime("%Y-%m-%d"))
        expect(page.locator(".rt-row")).to_have_count(len(yesterday))
        clicks(page.get_by_role("button", name="Erase this period"))
        clicks(page.get_by_role("dialog").get_by_role("button", name="Erase", exact=True))
        until(lambda: recorder.count() == 4 - len(yesterday))


def test_add_a_device_and_see_it_come(browser, hub, rooms, clicks, artefacts):
    with open_page(browser, hub[0], **DESKTOP) as (page, trouble):
        clicks(page.get_by_role("link", name="Fleet"))
        clicks(page.get_by_role("link", name="Add a device"))
        page.get_by_label("Name of the room").fill("Kitchen")
        expect(page.get_by_role("alert")).to_contain_text("connected already")
        page.get_by_label("Name of the room").fill("Kid's room")
        expect(page.get_by_text(f"{ENROL} kid-s-room", exact=True)).to_be_visible()
        at_device = "sudo provisioning/install.sh --join kid-s-room.join --code CODE --name 'Kid'\\''s room'"
        expect(page.get_by_text(at_device, exact=True)).to_be_visible()
        expect(page.get_by_text("mqtts://hub.local:8883")).to_be_visible()
        progress = page.get_by_role("status", name="How far the device has come")
        expect(progress.locator(".is-now")).to_have_text("Waiting")
        page.screenshot(path=artefacts / "add-1440-light.png", full_page=True)
        rooms.appear("kid-s-room", "Kid's room")
        expect(progress.locator(".is-now")).to_have_text("Connected")
        rooms.publish("kid-s-room", protocol.EVENT, event_of("happy", time.time(), seq=1))
        expect(progress.locator(".is-now")).to_have_text("Heard")
        expect(page.get_by_role("link", name="Open the room")).to_be_visible()
        assert not trouble, trouble


def test_an_empty_hub_says_what_to_do_first(browser, url, clicks, artefacts):
    with open_page(browser, url, viewport={"width": 390, "height": 844}) as (page, trouble):
        page.screenshot(path=artefacts / "empty-390-light.png", full_page=True)
        clicks(page.get_by_role("link", name="Add a device"))
        page.get_by_label("Name of the room").fill("Kitchen")
        # This broker is on the loopback address: the page says that no device can reach it.
        expect(page.get_by_role("alert")).to_contain_text("--lan")
        page.screenshot(path=artefacts / "add-390-light.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not trouble, trouble


def test_record_a_sentence_on_a_phone(browser_with_microphone, mosquitto, tmp_path, rooms, models, clicks):
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with (
        running_hub(mosquitto, tmp_path, rooms, ROOMTONE_MODELS=str(models)) as made,
        open_page(browser_with_microphone, made[0], **phone) as (page, trouble),
    ):
        clicks(page.get_by_role("link", name="Try it"))
        clicks(page.get_by_role("button", name="Record", exact=True))
        expect(page.get_by_text("Recording, 3")).to_be_visible(timeout=30_000)
        clicks(page.get_by_role("button", name="Stop"))
        expect(page.locator(".rt-answer .rt-emotion")).to_be_visible(timeout=60_000)
        expect(page.locator(".rt-bars li")).to_have_count(7)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not trouble, trouble
