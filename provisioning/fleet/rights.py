"""Who may publish, subscribe to and receive what at the broker of a site: the rights of each role, by the topic.

A device may publish exactly the topics of the protocol (`edge.protocol.topics`), so that a stolen one cannot fill the
broker with retained messages of its own invention.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from edge.config.join_file import Role
from edge.protocol.topics import TOPICS, VERBS

FLEET_CLIENT: Final = "fleet"
"""User name of `roomtone fleet` at the broker: it proves what is in force, and announces devices to Home Assistant."""
EVERYTHING: Final = "#"
BROKER_FIGURES: Final = "$SYS/broker/#"
"""What the broker says about itself; `#` does not include it."""

Client = Role | Literal["fleet"]


class Rights(NamedTuple):
    """Topic filters. A subscription is granted where it is within one of `subscribe`."""

    publish: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


_COMMANDS: Final = "{base}/+/cmd/+"

_DEVICE: Final = Rights(
    publish=(
        *(f"{{base}}/{{name}}/{topic.leaf}" for topic in TOPICS),
        *(f"{{base}}/{{name}}/resp/{verb}" for verb in VERBS),
    ),
    receive=("{base}/{name}/cmd/+", "{base}/{name}/availability", "{base}/fleet/announce"),
    subscribe=("{base}/{name}/cmd/+", "{base}/{name}/availability", "{base}/fleet/announce"),
)
_SUBSCRIBER: Final = Rights(
    publish=("{base}/+/cmd/replay", "{base}/+/cmd/level_on", "{base}/fleet/probe"),
    receive=(
        *(f"{{base}}/+/{topic.leaf}" for topic in TOPICS),
        "{base}/+/resp/+",
        "{base}/fleet/alert",
        "{base}/fleet/probe",
    ),
    subscribe=(EVERYTHING,),
)
_RECORDER: Final = Rights(
    publish=("{base}/+/cmd/replay",),
    receive=("{base}/+/availability", "{base}/+/event", "{base}/+/info", "{base}/+/resp/replay"),
    subscribe=(EVERYTHING,),
)
_OPERATOR: Final = Rights(
    publish=(
        _COMMANDS,
        "{base}/fleet/announce",
        "{base}/fleet/alert",
        "{base}/fleet/probe",
        "{ha}/status",
    ),
    receive=("{base}/#", "{ha}/#", BROKER_FIGURES),
    subscribe=(EVERYTHING, BROKER_FIGURES),
)
_FLEET: Final = Rights(
    publish=("{ha}/device/+/config",),
    subscribe=("{base}/fleet/generation/{generation}",),
)

_RIGHTS: Final[dict[Client, Rights]] = {
    "device": _DEVICE,
    "subscriber": _SUBSCRIBER,
    "recorder": _RECORDER,
    "operator": _OPERATOR,
    "fleet": _FLEET,
}
"""A subscriber reads, and may request missed events and the level; an operator may send every command. Home Assistant
is an operator."""


def rights_of(role: Client, name: str, base: str, ha: str, generation: str) -> Rights:
    """Return the rights of a client.

    `name`: its name in the certificate; `base`, `ha`: the topic prefixes of Roomtone and Home Assistant;
    `generation`: names this version of the rights (`generation_topic`).
    """
    words = {"name": name, "base": base, "ha": ha, "generation": generation}
    return Rights(*(tuple(one.format(**words) for one in part) for part in _RIGHTS[role]))


def generation_topic(base: str, generation: str) -> str:
    """Return the topic that `fleet` may subscribe to at a broker that has loaded this version of the rights."""
    return f"{base}/fleet/generation/{generation}"
