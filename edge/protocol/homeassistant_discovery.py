"""Builds the discovery message of Home Assistant: one retained message with all entities of a device.

Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. `unique_id` is made from the node
id only, so a room can be renamed and keeps its history; another node id is another device.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from edge.protocol import LABELS, UNCERTAIN, ModelInfo, topic
from edge.util.version import VERSION

FRESH_TRANSACTION: Final = (
    "{{ value | replace('home-assistant', 'home-assistant-' ~ ((now().timestamp() * 1000) | int)) }}"
)
"""A transaction of its own for every command: the same one twice in ten seconds would be taken for a repetition."""
EXPIRE_AFTER_S: Final = 180
"""Seconds after which the state expires: it is published every minute, so three are missing."""


EVENT_TYPES: Final = [*LABELS, UNCERTAIN]

Entity = tuple[str, dict[str, Any]]
"""Key and configuration of an entity."""


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


class _Entities:
    """Builds the entities of a device."""

    def __init__(self, node: AnnouncedDevice) -> None:
        self._node = node
        self.online = {"topic": self._at("availability")}
        # Emotions are available while both the link and the microphone work.
        self._available = {
            "availability": [
                self.online,
                {
                    "topic": self._at("mic"),
                    "value_template": "{{ 'online' if value in ('ok', 'muted') else 'offline' }}",
                },
            ],
            "availability_mode": "all",
        }

    def all(self) -> dict[str, dict[str, Any]]:
        """Every entity by its key."""
        found = [*self._sensors(), *self._events(), *self._controls()]
        return dict([*found, self._update()] if self._node.updates else found)

    def _at(self, leaf: str) -> str:
        return topic(self._node.base_topic, self._node.id, leaf)

    def _entity(self, platform: str, key: str, name: str | None, **rest: Any) -> Entity:
        unique = f"roomtone_{self._node.id}_{key}"
        return key, {"platform": platform, "unique_id": unique, "name": name, **rest}

    def _sensors(self) -> tuple[Entity, ...]:
        return (
            self._entity(
                "sensor",
                "emotion",
                "Emotion",
                device_class="enum",
                options=EVENT_TYPES,
                state_topic=self._at("state"),
                value_template="{{ value_json.emotion }}",
                expire_after=EXPIRE_AFTER_S,
                icon="mdi:emoticon-outline",
                **self._available,
            ),
            self._entity(
                "sensor",
                "confidence",
                "Confidence",
                state_topic=self._at("state"),
                value_template="{{ (value_json.confidence * 100) | round(0) }}",
                unit_of_measurement="%",
                state_class="measurement",
                expire_after=EXPIRE_AFTER_S,
                icon="mdi:percent",
                entity_category="diagnostic",
                **self._available,
            ),
            self._entity(
                "binary_sensor",
                "agitated",
                "Agitated",
                state_topic=self._at("state"),
                value_template="{{ 'ON' if value_json.agitated else 'OFF' }}",
                expire_after=EXPIRE_AFTER_S,
                icon="mdi:account-alert",
                **self._available,
            ),
            self._entity(
                "sensor",
                "arousal",
                "Arousal",
                state_topic=self._at("state"),
                value_template="{{ value_json.arousal }}",
                state_class="measurement",
                suggested_display_precision=2,
                expire_after=EXPIRE_AFTER_S,
                icon="mdi:gauge",
                **self._available,
            ),
        )

    def _events(self) -> tuple[Entity, ...]:
        return (
            self._entity(
                "event",
                "episode",
                "Episode",
                state_topic=self._at("episode"),
                event_types=["started", "ended"],
                icon="mdi:account-alert-outline",
                **self._available,
            ),
            self._entity(
                "event",
                "utterance",
                "Utterance",
                state_topic=self._at("event"),
                event_types=EVENT_TYPES,
                icon="mdi:account-voice",
                **self._available,
            ),
        )

    def _controls(self) -> tuple[Entity, ...]:
        return (
            self._entity(
                "binary_sensor",
                "microphone",
                "Microphone",
                device_class="problem",
                state_topic=self._at("mic"),
                value_template="{{ 'ON' if value == 'lost' else 'OFF' }}",
                entity_category="diagnostic",
            ),
            self._entity(
                "switch",
                "mute",
                "Mute",
                state_topic=self._at("mic"),
                value_template="{{ 'ON' if value == 'muted' else 'OFF' }}",
                state_on="ON",
                state_off="OFF",
                command_topic=self._at("cmd/mute"),
                payload_on='{"transaction":"home-assistant","on":true}',
                payload_off='{"transaction":"home-assistant","on":false}',
                command_template=FRESH_TRANSACTION,
                json_attributes_topic=self._at("muted_by"),
                icon="mdi:microphone-off",
                qos=1,
            ),
            self._entity(
                "button",
                "restart",
                "Restart",
                device_class="restart",
                command_topic=self._at("cmd/restart"),
                payload_press='{"transaction":"home-assistant"}',
                command_template=FRESH_TRANSACTION,
                entity_category="config",
                qos=1,
            ),
        )

    def _update(self) -> Entity:
        return self._entity(
            "update",
            "model",
            "Model",
            state_topic=self._at("model"),
            command_topic=self._at("cmd/model_check"),
            payload_install='{"transaction":"home-assistant"}',
            entity_category="config",
            qos=1,
        )


def announcement(node: AnnouncedDevice, ear: ModelInfo | None) -> bytes:
    """Build the payload for `discovery_topic`."""
    entities = _Entities(node)
    device: dict[str, Any] = {
        "identifiers": [f"roomtone_{node.id}"],
        "name": node.name or node.id,
        "manufacturer": "Roomtone",
        "model": ear.model if ear else "room device",
        "sw_version": VERSION,
    }
    return msgspec.json.encode(
        {
            "device": device,
            "origin": {"name": "roomtone", "sw_version": VERSION},
            "availability": [entities.online],
            "availability_mode": "all",
            "components": entities.all(),
        }
    )


def is_birth(payload: bytes) -> bool:
    """Whether a message on `<prefix>/status` is the birth message of Home Assistant."""
    return re.fullmatch(rb"\s*online\s*", payload) is not None
