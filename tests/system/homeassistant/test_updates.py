"""The update entity of a real Home Assistant: a release arrives at a device with the real ear, and is rolled back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.bundles import tiny
from tests.support.site.publishing import server, site
from tests.support.site.room_device import Device
from tests.support.waiting import until

__all__ = ["server", "site"]

pytestmark = pytest.mark.long


def attributes(home):
    return home.entity(home.entity_id("study", "model"))["attributes"]


@pytest.fixture
def device(folder, broker, home, site, server):
    settings = dict(setting.split("=") for setting in home.link_settings)
    settings |= {"homeassistant.discovery": True, "updates.probation_utterances": 4}
    box = Device(
        folder / "study", "study", broker.port, tiny.make(folder / "shipped", "1.0.0"), site, server,
        **{name.replace(".", "__"): value for name, value in settings.items()},
    )  # fmt: skip
    yield box.start()
    box.stop()


def test_a_release_is_shown_on_its_way_and_can_be_rolled_back(home, device, subscriber, site, folder):
    def log():
        return device.log() + device.log("ear")

    until(lambda: home.entity_id("study", "rollback"), 60, log)
    until(lambda: home.shown("model", "study") == "off", 60, log)
    assert attributes(home)["installed_version"] == attributes(home)["latest_version"] == "1.0.0"
    until(lambda: "[check_nothing]" in device.log(), 60, log)
    site.publish(tiny.make(folder / "made", "1.1.0", bias=np.full(7, 0.001)))
    subscriber.publish("roomtone/fleet/announce", json.dumps({"timestamp_version": 2}))
    until(lambda: attributes(home)["in_progress"], 60, log)
    until(lambda: attributes(home)["installed_version"] == "1.1.0", 90, log)
    until(lambda: not attributes(home)["in_progress"], 90, log)
    assert home.shown("model", "study") == "off"
    assert attributes(home)["title"] == "Emotion model"
    home.call("button.press", entity_id=home.entity_id("study", "rollback"))
    until(lambda: attributes(home)["installed_version"] == "1.0.0", 60, log)
    until(lambda: "rolled back" in attributes(home)["release_summary"], 60, log)


def test_the_install_button_has_the_device_try_again_at_once(home, device, subscriber, site, server, folder):
    """The hub has the release, its archive cannot be read: by itself the device tries again after a quarter hour."""

    def log():
        return device.log() + device.log("ear")

    until(lambda: home.shown("model", "study") == "off", 60, log)
    until(lambda: "[check_nothing]" in device.log(), 60, log)
    server.instead["*.tar"] = lambda request: request.send_error(503)
    site.publish(tiny.make(folder / "made", "1.1.0", bias=np.full(7, 0.001)))
    subscriber.publish("roomtone/fleet/announce", json.dumps({"timestamp_version": 2}))
    until(lambda: home.shown("model", "study") == "on", 60, log)
    assert attributes(home)["latest_version"] == "1.1.0"
    until(lambda: "[check_failed]" in device.log(), 60, log)
    until(lambda: not attributes(home)["in_progress"], 30, log)
    for checks in (2, 3):  # a second press within ten seconds is no repetition
        home.call("update.install", entity_id=home.entity_id("study", "model"))
        until(lambda checks=checks: device.log().count("[check_failed]") == checks, 60, log)
        until(lambda: not attributes(home)["in_progress"], 30, log)
    assert attributes(home)["installed_version"] == "1.0.0"
    server.instead.clear()
    home.call("update.install", entity_id=home.entity_id("study", "model"))
    until(lambda: attributes(home)["installed_version"] == "1.1.0", 90, log)
    until(lambda: home.shown("model", "study") == "off", 60, log)
