"""Who may do what at the broker, as mosquitto's access list.

Devices are covered by patterns (`%u` is the name in the certificate): one that the broker has not heard of yet works.
All others are named one by one, and are kept from what the patterns would give them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.config.join_file import Role

HEAD: Final = """# Made by `roomtone fleet`; changes are lost. %u is the name in a certificate: of a device its node id.

# Devices: what is their own, and nothing else.
pattern write {base}/%u/#
pattern write {ha}/device/%u/config
pattern read {base}/%u/cmd/+
pattern read {base}/fleet/announce
pattern read {ha}/status
"""

LEAVES: Final = ("availability", "mic", "event", "state", "level", "health", "info", "model")

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
"""A subscriber only reads, but may ask for what it missed and for the level; an operator commands. Home Assistant is
an operator."""

DENIED: Final = ("deny {base}/{name}/#", "deny {ha}/device/{name}/config")
"""A user's own denials come before the patterns."""


def access_list(base: str, ha: str, clients: Iterable[tuple[str, Role]]) -> str:
    """The file for `acl_file`; `clients` are names and roles, devices among them or not."""
    parts = [HEAD.format(base=base, ha=ha)]
    for name, role in sorted(clients):
        if role == "device":
            continue
        lines = (f"topic {line}" for line in (*DENIED, *RIGHTS[role]))
        parts.append("\n".join([f"user {name}", *lines]).format(base=base, ha=ha, name=name) + "\n")
    return "\n".join(parts)
