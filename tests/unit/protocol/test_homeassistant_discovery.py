"""What is announced of a device to Home Assistant, apart from what a real one shows (tests/system/homeassistant)."""

import json

import pytest

from edge.protocol.homeassistant_discovery import AnnouncedDevice, announcement

HUB = "https://hub.local/"


def announced(**changes):
    return json.loads(
        announcement(
            AnnouncedDevice(
                **{"base_topic": "roomtone", "id": "kitchen", "name": "", "updates": False} | changes
            )
        )
    )


@pytest.mark.parametrize(("hub", "link"), [(HUB, HUB), ("", None)])
def test_the_device_leads_to_the_pages_of_its_hub_and_the_announcement_to_help(hub, link):
    tree = announced(hub_url=hub, name="Küche")
    assert tree["device"].get("configuration_url") == link
    assert tree["device"]["suggested_area"] == tree["device"]["name"] == "Küche"
    assert tree["origin"]["support_url"].startswith("https://")
    assert announced()["device"]["suggested_area"] == "kitchen"


def test_only_a_device_that_takes_releases_has_an_update_entity():
    assert "model" not in announced()["components"]
    assert announced(updates=True)["components"]["model"]["platform"] == "update"


def test_figures_have_their_units_and_diagnostics_are_marked():
    parts = announced()["components"]
    assert (parts["confidence"]["unit_of_measurement"], parts["level"]["unit_of_measurement"]) == (
        "%",
        "dBFS",
    )
    assert {key for key, part in parts.items() if part.get("state_class") == "measurement"} == {
        "confidence", "arousal", "level", "temperature",
    }  # fmt: skip
    assert {key for key, part in parts.items() if part.get("entity_category") == "diagnostic"} == {
        "microphone", "level", "neural_model", "clock", "certificate", "temperature", "drops",
    }  # fmt: skip
