from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.support.broker import Broker
from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGUMENTS, Dashboard, Rooms, health
from tests.support.waiting import until


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists() and os.environ.get("CI") != "true":
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium, or name another in ROOMTONE_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def mosquitto():
    with Broker() as broker:
        yield broker


@pytest.fixture
def dashboard(mosquitto, tmp_path):
    child = Dashboard(tmp_path, "--broker", mosquitto.url)
    yield child
    child.kill()


@pytest.fixture
def url(dashboard):
    address = dashboard.address()
    until(lambda: health(address)["broker"] == "connected")
    return address


@pytest.fixture
def rooms(mosquitto):
    publisher = Rooms(mosquitto)
    yield publisher
    publisher.close()
