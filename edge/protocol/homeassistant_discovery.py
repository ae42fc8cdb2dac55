"""Builds the discovery message of Home Assistant: one retained message with all entities of a device.

Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. `unique_id` is made from the node
id only, so a room can be renamed and keeps its history; another node id is another device. The entities are in
`edge.protocol.homeassistant_entities`.

    topic = discovery_topic("homeassistant", "kitchen")
    payload = announcement(AnnouncedDevice(base_topic="roomtone", id="kitchen", name="Kitchen", updates=True))
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from edge.protocol import homeassistant_entities as entities
from edge.util.version import VERSION

MODEL: Final = "Roomtone room device"
SUPPORT_URL: Final = "https://www.home-assistant.io/integrations/mqtt/"


def discovery_topic(prefix: str, node: str) -> str:
    """Return the topic of the discovery message of a node."""
    return f"{prefix}/device/{node}/config"


class AnnouncedDevice(Struct, frozen=True, kw_only=True):
    """What the discovery message needs to know about a device."""

    base_topic: str
    id: str
    name: str
    """Display name; empty: the id."""
    updates: bool
    """Whether releases can be pushed to it."""
    hub_url: str = ""
    """Address of the hub's pages; empty: no link to them."""


def announcement(device: AnnouncedDevice) -> bytes:
    """Build the payload for `discovery_topic`, JSON."""
    name = device.name or device.id
    about: dict[str, Any] = {
        "identifiers": [f"roomtone_{device.id}"],
        "name": name,
        "manufacturer": "Roomtone",
        "model": MODEL,
        "sw_version": VERSION,
        "suggested_area": name,
    }
    if device.hub_url:
        about["configuration_url"] = device.hub_url
    return msgspec.json.encode(
        {
            "device": about,
            "origin": {"name": "roomtone", "sw_version": VERSION, "support_url": SUPPORT_URL},
            "availability": [entities.online(device.base_topic, device.id)],
            "availability_mode": "all",
            "components": entities.components(device.base_topic, device.id, updates=device.updates),
        }
    )


def is_birth(payload: bytes) -> bool:
    """Whether a message on the status topic is the birth message of Home Assistant."""
    return re.fullmatch(rb"\s*online\s*", payload) is not None
