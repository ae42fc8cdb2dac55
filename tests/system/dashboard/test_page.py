"""The first page in a real browser, fed by a real broker."""

from __future__ import annotations

import re
import time

import msgspec
import pytest
from playwright.sync_api import expect

from edge import protocol
from edge.protocol import Info, Level
from tests.support.dashboard import health, open_page
from tests.support.messages import event_of
from tests.support.waiting import until

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
NARROW = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}


def tile(page, node):
    return page.locator(f'.rt-tile[data-node="{node}"]')


def say(rooms, node, emotion, age=0.0, **changes):
    message = event_of(emotion, time.time() - age, **changes)
    rooms.publish(node, protocol.EVENT, message)
    return message


def test_an_event_reaches_the_open_page_in_time(browser, url, rooms):
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        rooms.appear("kitchen", "Kitchen")
        rooms.appear("study", "Study", mic="muted")
        expect(tile(page, "kitchen")).to_contain_text("Listening", timeout=15_000)
        expect(tile(page, "study")).to_contain_text("Muted", timeout=15_000)
        times = []
        for emotion, word in (
            ("happy", "Happy"),
            ("angry", "Angry"),
            ("sad", "Sad"),
            ("surprised", "Surprised"),
        ):
            begin = time.monotonic()
            say(rooms, "kitchen", emotion, confidence=0.81)
            expect(tile(page, "kitchen").locator(".rt-emotion")).to_have_text(word, timeout=15_000)
            times.append(time.monotonic() - begin)
        assert max(times) < 2, times
        expect(tile(page, "kitchen")).to_contain_text("81 % sure")
        expect(page.locator(".rt-row")).to_have_count(4)
        expect(page.locator(".rt-row").first).to_contain_text("Kitchen")
        expect(page.locator(".rt-row").first).to_contain_text("2.3 s")
        assert not trouble, trouble


COLOURS = """marks => marks.map(mark => {
  const style = getComputedStyle(mark), box = mark.getBoundingClientRect();
  return [style.fill, style.stroke, style.opacity, box.width > 5];
})"""


def test_each_of_the_last_utterances_has_its_own_mark_on_the_tile(browser, url, rooms):
    rooms.appear("kitchen", "Kitchen")
    for n, emotion in enumerate(("happy", "angry", "uncertain")):
        say(rooms, "kitchen", emotion, age=10 - n, seq=n + 1)
    until(lambda: health(url)["events"] == 3)
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        marks = tile(page, "kitchen").locator(".rt-strip g")
        expect(marks).to_have_count(3)
        page.locator(".rt-strip").hover()
        expect(marks.locator("title").first).to_have_text(re.compile("Happy 80 %"))
        happy, angry, ring = page.locator(".rt-strip g path").evaluate_all(COLOURS)
        assert happy[0] != angry[0] and "none" not in (happy[0], angry[0])
        assert ring[0] == "none" and ring[1] != "none"
        assert [mark[2:] for mark in (happy, angry, ring)] == [["1", True]] * 3
        assert not trouble, trouble


@pytest.mark.parametrize(("name", "options"), [("desktop", DESKTOP), ("phone", PHONE), ("narrow", NARROW)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen_and_loads_nothing_from_elsewhere(
    browser, url, rooms, artefacts, name, options, scheme
):
    rooms.appear("kitchen", "Kitchen")
    rooms.appear("living", "A living room whose name is so long that it can never fit")
    rooms.appear("study", "Study", mic="lost")
    for n, emotion in enumerate(("neutral", "happy", "fearful", "uncertain", "disgust", "happy") * 3):
        say(rooms, "kitchen", emotion, age=200 - 10 * n, confidence=0.4 if emotion == "uncertain" else 0.7)
    say(rooms, "living", "uncertain", age=4, confidence=0.41, likely="happy")
    say(rooms, "study", "sad", age=4000)
    until(lambda: health(url)["events"] == 20)
    with open_page(browser, url, color_scheme=scheme, **options) as (page, trouble):
        expect(page.locator(".rt-tile")).to_have_count(3)
        expect(tile(page, "living").locator(".rt-emotion")).to_have_text("Not sure")
        expect(tile(page, "living")).to_contain_text("maybe happy 41 %")
        expect(tile(page, "study")).to_contain_text("No microphone")
        page.wait_for_timeout(600)
        page.screenshot(path=artefacts / f"rooms-{name}-{scheme}.png", full_page=name != "desktop")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not trouble, trouble


def test_names_from_the_broker_are_text_and_nothing_else(browser, url, rooms):
    evil = '<img src=x onerror="window.hacked=1">${1}`</script>'
    rooms.appear("evil", "x")
    rooms.publish("evil", protocol.INFO, Info(node="evil", name=evil, version="1"))
    say(rooms, "evil", "happy")
    until(lambda: health(url)["events"] == 1)
    with open_page(browser, url) as (page, trouble):
        expect(tile(page, "evil").locator("h2")).to_have_text(evil)
        rooms.publish("evil", protocol.INFO, Info(node="evil", name=f"{evil}2", version="1"))
        expect(tile(page, "evil").locator("h2")).to_have_text(f"{evil}2")
        expect(page.locator(".rt-row .rt-room")).to_have_text(f"{evil}2")
        assert page.evaluate("window.hacked") is None
        assert not trouble, trouble


def test_what_breaks_the_contract_is_counted_and_changes_nothing(url, rooms):
    rooms.appear("kitchen", "Kitchen")
    for topic, payload in ((protocol.EVENT, b"{}"), (protocol.MIC, "fine"), (protocol.LEVEL, b"\xff" * 5000)):
        rooms.publish("kitchen", topic, payload, retain=False)
    rooms.publish("kitchen", protocol.EVENT, event_of("happy", time.time()), retain=True)
    say(rooms, "kitchen", "happy")
    until(lambda: health(url)["events"])
    # The retained event was live for a subscriber who was there already; only a later one gets it as retained.
    assert health(url) | {"events": 0} == {
        "status": "ok",
        "broker": "connected",
        "rooms": 1,
        "events": 0,
        "ignored": 3,
    }


def test_without_rooms_the_page_says_what_to_do_and_a_first_room_takes_its_place(
    browser, url, rooms, artefacts
):
    with open_page(browser, url, **PHONE) as (page, trouble):
        expect(page.locator(".rt-empty")).to_contain_text("./run demo")
        page.screenshot(path=artefacts / "rooms-empty.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        rooms.appear("kitchen", "Kitchen")
        expect(tile(page, "kitchen")).to_contain_text("No utterances yet")
        expect(page.locator(".rt-empty")).to_have_count(0)
        assert not trouble, trouble


def test_the_level_is_asked_for_while_the_page_is_open_and_shown(browser, url, rooms):
    asked = []
    rooms.client.on_message = lambda _c, _u, m: asked.append((m.topic, m.retain, m.payload))
    rooms.client.subscribe("roomtone/+/cmd/level_on", 1)
    rooms.appear("kitchen", "Kitchen")
    time.sleep(1.5)
    assert asked == []  # Nobody is looking.
    with open_page(browser, url) as (page, _):
        until(lambda: asked, 15)
        rooms.publish("kitchen", protocol.LEVEL, Level(dbfs=-31.6, speech=True))
        expect(tile(page, "kitchen").locator(".rt-db")).to_have_text("-32 dB", timeout=15_000)
        expect(tile(page, "kitchen")).to_contain_text("Speech detected")
        expect(tile(page, "kitchen").locator(".rt-db")).to_have_text("–", timeout=15_000)
        rooms.publish("kitchen", protocol.AVAILABILITY, "offline")
        expect(tile(page, "kitchen")).to_contain_text("Offline", timeout=15_000)
    topic, retained, payload = asked[0]
    assert topic == "roomtone/kitchen/cmd/level_on"
    assert not retained
    command = msgspec.json.decode(payload, type=protocol.Command)
    assert command.transaction
    assert len(asked) == 1


def test_a_lost_broker_is_said_and_forgotten_when_it_is_back(browser, mosquitto, url, rooms, artefacts):
    rooms.appear("kitchen", "Kitchen")
    say(rooms, "kitchen", "happy")
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        expect(tile(page, "kitchen").locator(".rt-emotion")).to_have_text("Happy")
        mosquitto.kill()
        expect(page.get_by_role("alert")).to_contain_text("Connection to the broker lost", timeout=15_000)
        page.screenshot(path=artefacts / "rooms-broker-lost.png")
        assert health(url)["broker"] == "lost"
        mosquitto.start()
        expect(page.get_by_role("alert")).to_have_count(0, timeout=15_000)
        rooms.client.reconnect()
        rooms.appear("kitchen", "Kitchen")
        say(rooms, "kitchen", "angry")
        expect(tile(page, "kitchen").locator(".rt-emotion")).to_have_text("Angry", timeout=15_000)
        assert not trouble, trouble


def test_a_hidden_page_is_told_nothing_and_catches_up_when_it_is_shown(browser, url, rooms):
    rooms.appear("kitchen", "Kitchen")
    with open_page(browser, url) as (page, trouble):
        expect(tile(page, "kitchen")).to_contain_text("No utterances yet")
        hide = (
            "hidden => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
            + ("document.dispatchEvent(new Event('visibilitychange'))}")
        )
        page.evaluate(hide, True)
        page.wait_for_timeout(500)
        say(rooms, "kitchen", "happy")
        say(rooms, "kitchen", "angry")
        page.wait_for_timeout(1500)
        expect(tile(page, "kitchen")).to_contain_text("No utterances yet")
        page.evaluate(hide, False)
        expect(tile(page, "kitchen").locator(".rt-emotion")).to_have_text("Angry", timeout=15_000)
        expect(page.locator(".rt-row")).to_have_count(2)
        assert not trouble, trouble


def test_it_can_be_used_without_a_mouse_and_read_without_eyes(browser, url, rooms):
    rooms.appear("kitchen", "Kitchen")
    say(rooms, "kitchen", "happy")
    until(lambda: health(url)["events"] == 1)
    with open_page(browser, url) as (page, _):
        expect(page.locator(".rt-row")).to_have_count(1)
        assert page.evaluate("document.documentElement.lang") == "en"
        expect(page.get_by_role("article", name="Kitchen")).to_be_visible()
        expect(page.get_by_role("meter", name="Sound level")).to_be_visible()
        expect(page.get_by_role("img", name="Last 1 utterances, the newest last: Happy")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        for _ in range(15):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className") == "rt-rows":
                break
        assert page.evaluate("document.activeElement.className") == "rt-rows"


WAKE_LOCK = """
window.locks = [];
Object.defineProperty(navigator, 'wakeLock', { value: { request: async kind => {
  window.locks.push(kind);
  return { release: async () => { window.locks.push('released'); } };
} } });
"""


def test_a_wall_display_keeps_the_screen_on_and_moves_nothing_where_less_motion_is_preferred(
    browser, url, rooms
):
    rooms.appear("kitchen", "Kitchen")
    say(rooms, "kitchen", "happy")
    until(lambda: health(url)["events"] == 1)
    with open_page(browser, url, reduced_motion="reduce", **DESKTOP) as (page, trouble):
        page.add_init_script(WAKE_LOCK)
        page.goto(f"{url}/?wall")
        expect(tile(page, "kitchen")).to_be_visible()
        page.wait_for_function("window.locks.join() === 'screen'")
        glyph = tile(page, "kitchen").locator(".rt-glyph")
        duration = glyph.evaluate("glyph => parseFloat(getComputedStyle(glyph).transitionDuration)")
        assert duration < 0.001
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Rooms")).to_be_visible()
        page.wait_for_function("window.locks.join() === 'screen,released'")
        assert not trouble, trouble


def test_it_can_be_installed(browser, url):
    with open_page(browser, url, **DESKTOP) as (page, trouble):
        found = page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")
        # A browser that forgets everything, as that of these tests, installs nothing at all.
        errors = {error["errorId"] for error in found["installabilityErrors"]}
        assert errors <= {"in-incognito"}, errors
        assert not trouble, trouble
