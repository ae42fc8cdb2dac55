"""What is broken is said within five seconds, in the page's language, and never under a green *Live*."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.support.broker import free_port
from tests.support.dashboard import TOKEN, Dashboard, health, open_page
from tests.support.waiting import until

WITHIN_S = 5.0
SLACK_S = 3.0
"""For a machine that does other work."""
HUB_LOST = {
    "en-US": "The connection to the hub is lost.",
    "es-ES": "Se ha perdido la conexión con el servidor.",
}


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def start(mosquitto, tmp_path, port):
    """Starts the dashboard, again on the same port."""
    running = []

    def begin():
        child = Dashboard(tmp_path, "--broker", mosquitto.url, "--no-try-it", "--port", str(port))
        running[:] = [child]
        url = child.address()
        until(lambda: health(url)["broker"] == "connected")
        return child, url

    yield begin
    for child in running:
        child.kill()


@contextmanager
def said_in_time(page):
    """What is expected within is there after five seconds, and as long as it lasts nothing is called live."""
    begin = time.monotonic()
    yield round((WITHIN_S + SLACK_S) * 1000)
    took = time.monotonic() - begin
    assert took < WITHIN_S + SLACK_S, took
    expect(page.locator(".rt-live.is-connected")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en-US", "es-ES"])
def test_a_browser_that_is_offline_says_so_and_comes_back(browser, url, rooms, locale):
    rooms.appear("kitchen", "Kitchen")
    with open_page(browser, url, "/", locale=locale) as (page, _):
        expect(page.locator(".rt-live.is-connected")).to_be_visible()
        with said_in_time(page) as limit:
            page.context.set_offline(True)
            expect(page.get_by_role("alert")).to_contain_text(HUB_LOST[locale], timeout=limit)
        page.context.set_offline(False)
        expect(page.locator(".rt-live.is-connected")).to_be_visible(timeout=20_000)
        expect(page.get_by_role("alert")).to_have_count(0)


def test_a_frozen_broker_is_said_and_comes_back(browser, url, rooms, mosquitto):
    rooms.appear("kitchen", "Kitchen")
    with open_page(browser, url, "/") as (page, _):
        expect(page.locator(".rt-live.is-connected")).to_be_visible()
        page.wait_for_timeout(3000)  # It must have answered once.
        os.kill(mosquitto.pid, signal.SIGSTOP)
        try:
            with said_in_time(page) as limit:
                expect(page.get_by_role("alert")).to_contain_text("does not answer", timeout=limit)
        finally:
            os.kill(mosquitto.pid, signal.SIGCONT)
        expect(page.locator(".rt-live.is-connected")).to_be_visible(timeout=20_000)


def test_a_frozen_hub_is_said_and_comes_back(browser, start):
    child, url = start()
    with open_page(browser, url, "/") as (page, _):
        expect(page.locator(".rt-live.is-connected")).to_be_visible()
        os.kill(child.process.pid, signal.SIGSTOP)
        try:
            with said_in_time(page) as limit:
                expect(page.get_by_role("alert")).to_contain_text(HUB_LOST["en-US"], timeout=limit)
        finally:
            os.kill(child.process.pid, signal.SIGCONT)
        expect(page.locator(".rt-live.is-connected")).to_be_visible(timeout=20_000)


def test_a_hub_that_is_restarted_is_said_and_the_page_goes_on(browser, start, rooms):
    child, url = start()
    rooms.appear("kitchen", "Kitchen")
    with open_page(browser, url, "/") as (page, _):
        expect(page.locator(".rt-live.is-connected")).to_be_visible()
        with said_in_time(page) as limit:
            child.kill()
            expect(page.get_by_role("alert")).to_contain_text(HUB_LOST["en-US"], timeout=limit)
        start()
        expect(page.locator(".rt-live.is-connected")).to_be_visible(timeout=20_000)
        expect(page.get_by_role("article", name="Kitchen")).to_be_visible()


def test_what_came_with_the_page_is_shown_at_once_and_not_called_live(browser, url, rooms):
    """The page has its first rooms in it: neither the API nor the socket is needed for them."""
    rooms.appear("kitchen", "Kitchen")
    until(lambda: health(url)["rooms"] == 1)
    context = browser.new_context()
    name = f"roomtone-token-{url.rpartition(':')[2]}"
    context.add_cookies([{"name": name, "value": TOKEN, "url": url}])
    page = context.new_page()
    page.route("**/api/**", lambda route: route.abort())
    # It opens, and nothing ever comes.
    page.route_web_socket("**/api/live", lambda socket: None)
    page.goto(url)
    expect(page.locator('.rt-tile[data-node="kitchen"]')).to_be_visible()
    with said_in_time(page) as within:
        expect(page.locator(".rt-banner")).to_contain_text(HUB_LOST["en-US"], timeout=within)
    expect(page.locator('.rt-tile[data-node="kitchen"]')).to_be_visible()
    context.close()
