"""Who may publish, subscribe to and receive what at the broker of a site: the rights of each role, by the topic.

Every topic that a client may publish is named, by the protocol (`edge.protocol.topics`) and by the devices that are
enrolled, so that no stolen client can fill the broker with retained messages of its own invention; a device may keep
three subscriptions only. mosquitto has no limits on either.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from edge.config.join_file import Role
from edge.protocol.topics import TOPICS, VERBS

FLEET_CLIENT: Final = "fleet"
"""User name of `roomtone fleet` at the broker: it proves what is in force, announces devices to Home Assistant, and
removes what revoked ones retained."""
EVERYTHING: Final = "#"
BROKER_FIGURES: Final = "$SYS/broker/#"
"""What the broker says about itself; `#` does not include it."""

Client = Role | Literal["fleet"]


class Rights(NamedTuple):
    """Topic filters. A subscription is granted where it is one of `subscribe`, or within one of `subscribe_within`."""

    publish: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    subscribe_within: tuple[str, ...] = ()


_COMMANDS: Final = tuple(f"{{base}}/{{device}}/cmd/{verb}" for verb in VERBS)
"""Commands can be retained, so neither the device nor the verb is a wildcard."""

_DEVICE: Final = Rights(
    publish=(
        *(f"{{base}}/{{name}}/{topic.leaf}" for topic in TOPICS),
        *(f"{{base}}/{{name}}/resp/{verb}" for verb in VERBS),
    ),
    receive=("{base}/{name}/cmd/+", "{base}/{name}/availability", "{base}/fleet/announce"),
    subscribe=("{base}/{name}/cmd/+", "{base}/{name}/availability", "{base}/fleet/announce"),
)
_SUBSCRIBER: Final = Rights(
    publish=("{base}/{device}/cmd/replay", "{base}/{device}/cmd/level_on", "{base}/fleet/probe"),
    receive=(
        *(f"{{base}}/+/{topic.leaf}" for topic in TOPICS),
        "{base}/+/resp/+",
        "{base}/fleet/alert",
        "{base}/fleet/probe",
    ),
    subscribe_within=(EVERYTHING,),
)
_RECORDER: Final = Rights(
    publish=("{base}/{device}/cmd/replay",),
    receive=("{base}/+/availability", "{base}/+/event", "{base}/+/info", "{base}/+/resp/replay"),
    subscribe_within=(EVERYTHING,),
)
_OPERATOR: Final = Rights(
    publish=(
        *_COMMANDS,
        "{base}/fleet/announce",
        "{base}/fleet/alert",
        "{base}/fleet/probe",
        "{ha}/status",
    ),
    receive=("{base}/#", "{ha}/#", BROKER_FIGURES),
    subscribe_within=(EVERYTHING, BROKER_FIGURES),
)
_FLEET: Final = Rights(
    publish=(
        "{ha}/device/+/config",
        *(f"{{base}}/+/{topic.leaf}" for topic in TOPICS if topic.retain),
    ),
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


class Site(NamedTuple):
    """What the rights of all clients depend on."""

    base: str
    """Topic prefix of Roomtone."""
    ha: str
    """Topic prefix of Home Assistant."""
    generation: str
    """Names this version of the rights (`generation_topic`)."""
    devices: tuple[str, ...] = ()
    """Names of all devices that are enrolled."""


def rights_of(role: Client, name: str, site: Site) -> Rights:
    """Return the rights of a client; `name`: its name in the certificate."""

    def topics(pattern: str) -> tuple[str, ...]:
        words = {"name": name, "base": site.base, "ha": site.ha, "generation": site.generation}
        devices = site.devices if "{device}" in pattern else ("",)
        return tuple(pattern.format(device=device, **words) for device in devices)

    return Rights(*(tuple(topic for one in part for topic in topics(one)) for part in _RIGHTS[role]))


def generation_topic(base: str, generation: str) -> str:
    """Return the topic that `fleet` may subscribe to at a broker that has loaded this version of the rights."""
    return f"{base}/fleet/generation/{generation}"
