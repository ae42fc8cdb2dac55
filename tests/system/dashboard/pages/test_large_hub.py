"""Pages of a hub with more rooms than a page is sent, and of a broker that does not send the state of devices."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from dashboard.live.window import PAGE_ROOMS
from edge import protocol
from tests.support.broker import Broker
from tests.support.dashboard import AUTHORIZED, Dashboard, health, open_page
from tests.support.link import EarClient, LinkProcess
from tests.support.waiting import until

ROOMS = PAGE_ROOMS + 50


@pytest.fixture
def many(url, rooms):
    """So many rooms, of which the last needs attention."""
    for number in range(ROOMS):
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
    rooms.publish(f"room-{ROOMS - 1}", protocol.AVAILABILITY, "offline")
    until(lambda: health(url)["rooms"] == ROOMS)
    return url


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
