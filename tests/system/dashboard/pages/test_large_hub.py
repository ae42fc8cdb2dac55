"""Pages of a hub with more rooms than a page is sent, and of a broker that does not send the state of devices."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from dashboard.alerts.rules import RuleStore
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS
from dashboard.live.window import PAGE_ROOMS
from dashboard.recorder.writer import Received, Writer
from dashboard.values import now_ms
from edge import protocol
from tests.support.broker import Broker
from tests.support.dashboard import AUTHORIZED, Dashboard, health, open_page
from tests.support.link import EarClient, LinkProcess
from tests.support.messages import event_of
from tests.support.waiting import until

ROOMS = PAGE_ROOMS + 50


def appear(rooms, count):
    """So many rooms whose devices are well."""
    for number in range(count):
        node = f"room-{number:03}"
        info = protocol.encode(protocol.Info(node=node, name=node, version="1"))
        for topic, payload in (
            (protocol.INFO, info),
            (protocol.AVAILABILITY, "online"),
            (protocol.MIC, "ok"),
        ):
            name = protocol.topic("roomtone", node, topic)
            last = rooms.client.publish(name, payload, qos=1, retain=True)
    last.wait_for_publish(30)


@pytest.fixture
def many(url, rooms):
    """So many rooms, of which the last needs attention."""
    appear(rooms, ROOMS)
    rooms.publish(f"room-{ROOMS - 1}", protocol.AVAILABILITY, "offline")
    until(lambda: health(url)["rooms"] == ROOMS)
    return url


@pytest.fixture
def alerted(tmp_path):
    """The URL of a database in which an alert of room 900 is on."""
    database = f"sqlite:///{tmp_path}/hub.db"
    engine = connect(database)
    migrate(engine)
    now = now_ms()
    angry = [event_of("angry", now / 1000 - n, seq=n + 1) for n in range(6)]
    Writer(engine).write([Received("room-900", event, now) for event in angry])
    rule = {"name": "Shouting", "node": "", "emotion": EMOTIONS.index("angry"), "share": 600, "minutes": 10}
    store = RuleStore(engine)
    store.add(rule | {"least": 5, "webhook": "", "created": now})
    assert [(change.node, change.on) for change in store.evaluate(now)] == [("room-900", True)]
    engine.dispose()
    return database


@pytest.mark.long
def test_of_a_thousand_rooms_the_one_with_an_alert_comes_first_until_its_rule_goes(
    browser, mosquitto, rooms, tmp_path, alerted
):
    appear(rooms, 1000)
    with Dashboard(tmp_path, "--broker", mosquitto.url, "--database", alerted, "--no-try-it") as hub:
        url = hub.address()
        until(lambda: health(url)["rooms"] == 1000)
        with open_page(browser, url) as (page, trouble):
            first = page.locator(".rt-tile").first
            expect(first).to_have_attribute("data-node", "room-900", timeout=30_000)
            expect(first.get_by_label("An alert is on")).to_be_visible()
            (rule,) = httpx.get(f"{url}/api/rules", headers=AUTHORIZED, timeout=30).json()
            gone = httpx.delete(f"{url}/api/rules/{rule['id']}", headers=AUTHORIZED, timeout=30)
            assert gone.status_code == 204
            expect(first).to_have_attribute("data-node", "room-000", timeout=30_000)
            expect(page.locator('[data-node="room-900"]')).to_have_count(0)
            assert not trouble, trouble


def test_a_page_of_a_large_hub_shows_a_part_and_finds_the_rest(browser, many, rooms):
    with open_page(browser, many) as (page, trouble):
        tiles = page.locator(".rt-tile")
        expect(tiles).to_have_count(PAGE_ROOMS, timeout=30_000)
        expect(page.locator(".rt-selector")).to_contain_text(f"1 to {PAGE_ROOMS} of {ROOMS}")
        expect(tiles.first).to_have_attribute("data-node", f"room-{ROOMS - 1}")
        page.get_by_role("button", name="Next").click()
        expect(tiles).to_have_count(ROOMS - PAGE_ROOMS, timeout=30_000)
        page.get_by_label("Search by name").fill("room-03")
        expect(tiles).to_have_count(10, timeout=30_000)
        # A room outside of what was shown has its page.
        page.goto(f"{many}/room/room-120")
        expect(page.locator('.rt-tile[data-node="room-120"]')).to_be_visible(timeout=30_000)
        assert not trouble, trouble


def test_the_fleet_of_a_large_hub_comes_in_parts(browser, many, rooms):
    def ask(path):
        return httpx.get(f"{many}/api/{path}", headers=AUTHORIZED, timeout=30).raise_for_status().json()

    fleet = ask("fleet")
    assert (fleet["total"], fleet["faulty"], len(fleet["devices"])) == (ROOMS, 1, PAGE_ROOMS)
    assert fleet["devices"][0]["node"] == f"room-{ROOMS - 1}"
    found = ask("fleet?search=ROOM-03&first=8&limit=5")
    assert (found["matching"], [one["node"] for one in found["devices"]]) == (10, ["room-038", "room-039"])
    first = ask("rooms?limit=3")
    assert [room["node"] for room in first] == ["room-000", "room-001", "room-002"]
    assert ask("rooms?limit=1&after=room-002")[0]["node"] == "room-003"
    assert [room["node"] for room in ask("rooms?search=ROOM-24&after=room-247")] == ["room-248", "room-249"]
    with open_page(browser, many, "/fleet") as (page, trouble):
        page.get_by_label("Search by name").fill("room-24")
        expect(page.locator(".rt-selector")).to_contain_text("of 10", timeout=30_000)
        assert not trouble, trouble


def test_a_device_whose_state_the_broker_does_not_send_is_asked_for_it(tmp_path):
    """As at RabbitMQ, or at another node of a cluster of ejabberd."""
    with (
        Broker("allow_anonymous true\nretain_available false", folder=tmp_path) as broker,
        LinkProcess(tmp_path, broker.port) as link,
        EarClient(link.socket) as ear,
    ):
        until(lambda: "connected" in link.codes, what=lambda: link.log)
        ear.report()
        dashboard = Dashboard(tmp_path, "--broker", broker.url)
        try:
            url = dashboard.address()

            def online():
                fleet = httpx.get(f"{url}/api/fleet", headers=AUTHORIZED, timeout=30).json()
                return [(one["availability"], one["mic"]) for one in fleet["devices"]]

            until(lambda: health(url)["broker"] == "connected")
            ear.report()
            until(lambda: health(url)["rooms"] == 1, 30)
            until(lambda: online() == [("online", "ok")], 30, link.log)
        finally:
            dashboard.kill()
