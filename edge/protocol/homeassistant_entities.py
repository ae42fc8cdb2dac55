"""The entities and device triggers of Home Assistant's discovery message.

Templates run in Home Assistant. What would fire an automation is checked there against the clock: an event that waited
on the device or is published again says nothing about the room as it is now.
"""

from __future__ import annotations

from typing import Any, Final

from edge.protocol import LABELS, UNCERTAIN, topic

RECENT_S: Final = 60
"""Age from which an event changes no entity and fires no trigger."""
EXPIRE_AFTER_S: Final = 180
"""Seconds after which the state expires: it is published every minute, so three are missing."""
EVENT_TYPES: Final = [*LABELS, UNCERTAIN]
_RECENT: Final = (
    "'repeated' not in value_json and"
    " (now().timestamp() - as_timestamp(value_json.started_at, 0) - value_json.duration_ms / 1000)"
    f" | abs < {RECENT_S}"
)
_RECENT_EPISODE: Final = f"(now().timestamp() - as_timestamp(value_json.started_at, 0)) | abs < {RECENT_S}"
_FRESH_TRANSACTION: Final = (
    "{{ value | replace('home-assistant', 'home-assistant-' ~ ((now().timestamp() * 1000) | int)) }}"
)
"""A transaction of its own for every command: the same one twice in ten seconds would be taken for a repetition."""
_COMMAND: Final = '{"transaction":"home-assistant"}'
_UPDATE: Final = (
    "{{ {'installed_version': value_json.installed_version, 'latest_version': value_json.latest_version,"
    " 'title': 'Emotion model', 'in_progress': value_json.in_progress,"
    " 'update_percentage': value_json.update_percentage,"
    " 'release_summary': (value_json.error or value_json.state)[:255]} | to_json }}"
)
"""Home Assistant drops a message with any key but these."""

Component = dict[str, Any]


def online(base: str, node: str) -> dict[str, str]:
    """Return the availability of a device: whether its link is connected to the broker."""
    return {"topic": topic(base, node, "availability")}


def components(base: str, node: str, *, updates: bool) -> dict[str, Component]:
    """Return every entity and device trigger of a device by its key; `updates`: whether releases can be pushed."""
    made = _Components(base, node)
    made.add_state()
    made.add_events()
    made.add_microphone()
    made.add_controls()
    made.add_health()
    made.add_triggers()
    if updates:
        made.add_updates()
    return made.found


class _Components:
    """Collects the components of one device in `found`."""

    def __init__(self, base: str, node: str) -> None:
        self._base = base
        self._node = node
        self.found: dict[str, Component] = {}
        # Emotions are available while the link is connected and the microphone is not lost.
        self._hearing: Component = {
            "availability": [
                online(base, node),
                {
                    "topic": self._at("mic"),
                    "value_template": "{{ 'offline' if value == 'lost' else 'online' }}",
                },
            ],
            "availability_mode": "all",
        }

    def _at(self, leaf: str) -> str:
        return topic(self._base, self._node, leaf)

    def _add(self, platform: str, key: str, name: str, **rest: Any) -> None:
        unique = f"roomtone_{self._node}_{key}"
        self.found[key] = {"platform": platform, "unique_id": unique, "name": name, **rest}

    def _diagnostic(self, platform: str, key: str, name: str, **rest: Any) -> None:
        self._add(platform, key, name, entity_category="diagnostic", **rest)

    def _health(self, platform: str, key: str, name: str, template: str, **rest: Any) -> None:
        self._diagnostic(
            platform,
            key,
            name,
            state_topic=self._at("health"),
            value_template=template,
            enabled_by_default=False,
            **rest,
        )

    def add_state(self) -> None:
        """Add what is smoothed over the last utterances."""
        shared = {"state_topic": self._at("state"), "expire_after": EXPIRE_AFTER_S, **self._hearing}
        self._add(
            "sensor",
            "emotion",
            "Emotion",
            device_class="enum",
            options=EVENT_TYPES,
            value_template="{{ value_json.emotion }}",
            icon="mdi:emoticon-outline",
            **shared,
        )
        self._add(
            "sensor",
            "confidence",
            "Confidence",
            value_template="{{ (value_json.confidence * 100) | round(0) }}",
            unit_of_measurement="%",
            state_class="measurement",
            icon="mdi:percent",
            **shared,
        )
        self._add(
            "sensor",
            "arousal",
            "Arousal",
            value_template="{{ value_json.get('arousal') }}",
            state_class="measurement",
            suggested_display_precision=2,
            icon="mdi:gauge",
            **shared,
        )
        self._add(
            "binary_sensor",
            "agitated",
            "Agitated",
            value_template="{{ 'ON' if value_json.agitated else 'OFF' }}",
            icon="mdi:account-alert",
            **shared,
        )

    def add_events(self) -> None:
        """Add what happens at a moment."""
        self._add(
            "event",
            "utterance",
            "Utterance",
            state_topic=self._at("event"),
            event_types=EVENT_TYPES,
            value_template=f"{{{{ value if {_RECENT} and value_json.id != this.attributes.get('id') else '' }}}}",
            icon="mdi:account-voice",
            **self._hearing,
        )
        self._add(
            "event",
            "episode",
            "Episode",
            state_topic=self._at("episode"),
            event_types=["started", "ended"],
            value_template=f"{{{{ value if value_json.event_type == 'ended' or {_RECENT_EPISODE} else '' }}}}",
            icon="mdi:account-alert-outline",
            **self._hearing,
        )
        self._add(
            "sensor",
            "last_heard",
            "Last heard",
            device_class="timestamp",
            state_topic=self._at("event"),
            # What is published again must not set it back, nor a clock that was wrong keep it in the future.
            value_template="{{ [[as_timestamp(value_json.started_at, 0), as_timestamp(this.state, 0)] | max,"
            " now().timestamp()] | min | timestamp_utc }}",
        )

    def add_microphone(self) -> None:
        """Add what the microphone does, whatever was said."""
        self._add(
            "binary_sensor",
            "speech",
            "Speech",
            device_class="occupancy",
            state_topic=self._at("speech"),
            value_template="{{ 'ON' if value_json.speaking else 'OFF' }}",
            icon="mdi:account-voice",
            **self._hearing,
        )
        self._diagnostic(
            "binary_sensor",
            "microphone",
            "Microphone",
            device_class="problem",
            state_topic=self._at("mic"),
            value_template="{{ 'ON' if value == 'lost' else 'OFF' }}",
        )
        self._diagnostic(
            "sensor",
            "level",
            "Sound level",
            state_topic=self._at("health"),
            value_template="{{ (value_json.get('ear') or {}).get('level_dbfs') }}",
            unit_of_measurement="dBFS",
            state_class="measurement",
            icon="mdi:volume-medium",
        )
        self._diagnostic(
            "sensor",
            "neural_model",
            "Neural model",
            state_topic=self._at("info"),
            value_template="{{ (value_json.get('ear') or {}).get('model') }}",
            icon="mdi:brain",
        )

    def add_controls(self) -> None:
        """Add what can be switched and pressed."""
        self._add(
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
            command_template=_FRESH_TRANSACTION,
            json_attributes_topic=self._at("muted_by"),
            icon="mdi:microphone-off",
            qos=1,
        )
        self._button("restart", "Restart", "restart", device_class="restart", entity_category="config")
        self._button("identify", "Identify", "identify", device_class="identify", entity_category="config")

    def _button(self, key: str, name: str, verb: str, **rest: Any) -> None:
        self._add(
            "button",
            key,
            name,
            command_topic=self._at(f"cmd/{verb}"),
            payload_press=_COMMAND,
            command_template=_FRESH_TRANSACTION,
            qos=1,
            **rest,
        )

    def add_health(self) -> None:
        """Add the health of the device, disabled by default."""
        self._health(
            "binary_sensor",
            "clock",
            "Clock",
            "{{ 'ON' if value_json.clock == 'unsynced' else 'OFF' }}",
            device_class="problem",
        )
        self._health(
            "sensor",
            "certificate",
            "Certificate expires",
            "{{ value_json.get('certificate_expires') }}",
            device_class="timestamp",
        )
        self._health(
            "sensor",
            "temperature",
            "Temperature",
            "{{ value_json.get('temperature_c') }}",
            device_class="temperature",
            unit_of_measurement="°C",
            state_class="measurement",
        )
        self._health(
            "sensor",
            "drops",
            "Dropped events",
            "{{ value_json.drops }}",
            state_class="total_increasing",
            icon="mdi:message-off-outline",
        )

    def add_triggers(self) -> None:
        """Add the device triggers, which Home Assistant shows as `"room" sounds angry`."""
        recent = f"{{{{ value_json.event_type if {_RECENT} else '' }}}}"
        for label in LABELS:
            self._trigger(f"room sounds {label}", "event", label, recent)
        started = f"{{{{ value_json.event_type if {_RECENT_EPISODE} else '' }}}}"
        self._trigger("room is agitated", "episode", "started", started)
        self._trigger("room is no longer agitated", "episode", "ended", "{{ value_json.event_type }}")
        speaking = "{{ '' if value_json.repeated else 'started' if value_json.speaking else 'ended' }}"
        for change in ("started", "ended"):
            self._trigger(f"speech {change}", "speech", change, speaking)

    def _trigger(self, words: str, leaf: str, payload: str, template: str) -> None:
        """Add a trigger whose template gives `payload` when it is to fire; `words`: subject and what happens."""
        subtype, _, kind = words.partition(" ")
        self.found[words.replace(" ", "_")] = {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": kind,
            "subtype": subtype,
            "topic": self._at(leaf),
            "payload": payload,
            "value_template": template,
            "qos": 1,
        }

    def add_updates(self) -> None:
        """Add the model's releases."""
        self._add(
            "update",
            "model",
            "Model",
            state_topic=self._at("model"),
            value_template=_UPDATE,
            command_topic=self._at("cmd/model_check"),
            payload_install=_COMMAND,
            entity_category="config",
            qos=1,
        )
        self._button("rollback", "Roll the model back", "model_rollback", entity_category="config")
