"""The broker's access list (mosquitto's `acl_file`): which client may publish and receive what.

Devices are covered by patterns (`%u` is the name in the certificate), so a new device works before the broker has read
the list again. Other clients are listed by name, and are denied what the patterns would allow them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.config.join_file import Role

HEAD: Final = """# Written by `roomtone fleet`; edits are lost. %u is the name in the certificate: a device's is its id.

# Devices: their own topics, and nothing else.
pattern write {base}/%u/#
pattern write {ha}/device/%u/config
pattern read {base}/%u/cmd/+
pattern read {base}/%u/availability
pattern read {base}/fleet/announce
pattern read {ha}/status
"""

LEAVES: Final = ("availability", "mic", "muted_by", "event", "state", "level", "health", "info", "model")

RIGHTS: Final[dict[Role, tuple[str, ...]]] = {
    "subscriber": (
        *(f"read {{base}}/+/{leaf}" for leaf in LEAVES),
        "read {base}/+/resp/+",
        "write {base}/+/cmd/replay",
        "write {base}/+/cmd/level_on",
        "read {base}/fleet/alert",
        "readwrite {base}/fleet/probe",
    ),
    "recorder": (
        *(f"read {{base}}/+/{leaf}" for leaf in ("availability", "event", "info")),
        "read {base}/+/resp/replay",
        "write {base}/+/cmd/replay",
    ),
    "operator": (
        "read {base}/#",
        "write {base}/+/cmd/+",
        "write {base}/fleet/announce",
        "write {base}/fleet/alert",
        "write {base}/fleet/probe",
        "read {ha}/#",
        "write {ha}/status",
    ),
}
"""Rights of each role. A subscriber reads, and may request missed events and the level; an operator may send every
command. Home Assistant is an operator."""

DENIED: Final = ("deny {base}/{name}/#", "deny {ha}/device/{name}/config")
"""Denials for a named client; mosquitto evaluates them before the patterns."""


def access_list(base: str, ha: str, clients: Iterable[tuple[str, Role]]) -> str:
    """Return the text of the access list.

    `base`, `ha`: the topic prefixes of Roomtone and Home Assistant; `clients`: names and roles (devices are skipped).
    """
    parts = [HEAD.format(base=base, ha=ha)]
    for name, role in sorted(clients):
        if role == "device":
            continue
        lines = (f"topic {line}" for line in (*DENIED, *RIGHTS[role]))
        parts.append("\n".join([f"user {name}", *lines]).format(base=base, ha=ha, name=name) + "\n")
    return "\n".join(parts)
