"""Home Assistant at the broker of a site: it is an operator there, and the site announces the devices, not they."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.protocol import MicSignal, Mute, Unmute
from tests.support.link import EarClient, LinkProcess
from tests.support.machines.home_assistant import HomeAssistant
from tests.support.site.fleet import FleetSite
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

ROOMS = ("kitchen", "study")


@pytest.fixture(scope="module")
def site(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetSite]:
    with FleetSite(tmp_path_factory.mktemp("fleet")) as running:
        for room in ROOMS:
            running.join(room)
        yield running


@pytest.fixture(scope="module")
def home(site: FleetSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    """It was given the three files of a join, as its page for the broker takes them."""
    place = site.join("home-assistant", "operator")
    entry = {
        key: (place / name).read_text()
        for key, name in (
            ("certificate", "ca.crt"),
            ("client_cert", "client.crt"),
            ("client_key", "client.key"),
        )
    }
    with HomeAssistant(tmp_path_factory.mktemp("home"), site.port, entry=entry) as running:
        yield running


@pytest.fixture
def link(site: FleetSite, folder: Path) -> Iterator[LinkProcess]:
    with LinkProcess(folder, site.port, settings=site.settings(site.folder / "device-kitchen")) as running:
        yield running
        running.stop()


def test_a_device_of_the_site_is_shown_and_switched(
    home: HomeAssistant, link: LinkProcess, ear: EarClient
) -> None:
    assert "homeassistant.discovery=false" in link.words
    for room in ROOMS:
        until(lambda room=room: home.device(room))
    mute = until(lambda: home.entity_id("kitchen", "mute"))
    until(lambda: home.shown("emotion") == "uncertain", 90)
    assert home.shown("emotion", "study") == "unavailable"
    for _ in range(8):
        ear.report()
    until(lambda: home.shown("emotion") == "angry", 60)
    home.call("switch.turn_on", entity_id=mute)
    until(lambda: Mute() in ear.commands)
    ear.say(MicSignal("muted", ("remote",)))
    until(lambda: home.state(mute) == "on")
    home.call("switch.turn_off", entity_id=mute)
    until(lambda: Unmute() in ear.commands)
    ear.say(MicSignal("ok"))
    until(lambda: home.state(mute) == "off")


def test_a_restarted_home_assistant_has_all_of_it_again(
    home: HomeAssistant, link: LinkProcess, ear: EarClient
) -> None:
    """The device does not read the status topic there: what the broker retains has to do, and the next state."""
    until(lambda: home.shown("emotion") not in ("", "unavailable"), 90)
    home.stop()
    home.start()
    until(lambda: home.shown("mute") == "off", 60)
    until(lambda: home.shown("microphone") == "off", 60)
    until(lambda: home.shown("emotion") in ("angry", "uncertain"), 90)


def test_a_revoked_device_goes_after_a_short_outage(home: HomeAssistant, site: FleetSite) -> None:
    until(lambda: home.device("study"), 60)
    site.fleet("revoke", "study")
    until(lambda: home.device("study") is None, 60)
    assert home.device("kitchen")
