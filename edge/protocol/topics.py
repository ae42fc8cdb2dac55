"""The MQTT topics of a device, with QoS and retain flag."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Topic(NamedTuple):
    """The last level of a topic, its QoS and its retain flag."""

    leaf: str
    qos: Literal[0, 1]
    retain: bool


AVAILABILITY: Final = Topic("availability", 1, True)
MIC: Final = Topic("mic", 1, True)
MUTED_BY: Final = Topic("muted_by", 1, True)
EVENT: Final = Topic("event", 1, False)
SPEECH: Final = Topic("speech", 1, False)
STATE: Final = Topic("state", 1, False)
EPISODE: Final = Topic("episode", 1, False)
LEVEL: Final = Topic("level", 0, False)
HEALTH: Final = Topic("health", 0, False)
INFO: Final = Topic("info", 1, True)
MODEL: Final = Topic("model", 1, True)
TOPICS: Final = (AVAILABILITY, MIC, MUTED_BY, EVENT, SPEECH, STATE, EPISODE, LEVEL, HEALTH, INFO, MODEL)
"""All topics that a device publishes, beside the responses: the rights at the broker are generated from this."""

VERBS: Final = (
    "mute", "unmute", "level_on", "replay", "republish", "model_check", "model_rollback", "restart", "identify"
)  # fmt: skip
"""All commands, `B/N/cmd/<verb>`; each has its response, `B/N/resp/<verb>`."""


def announce_topic(base: str) -> str:
    """Return the topic of announcements to all devices, `B/fleet/announce`."""
    return f"{base}/fleet/announce"


def probe_topic(base: str, client_id: str) -> str:
    """Return the topic below which a client asks what the broker can do, `B/fleet/probe/ID`."""
    return f"{base}/fleet/probe/{client_id}"


def topic(base: str, node: str, leaf: Topic | str) -> str:
    """Return the full topic name, `B/N/leaf`; `node` may be the wildcard `+`."""
    return f"{base}/{node}/{leaf.leaf if isinstance(leaf, Topic) else leaf}"
