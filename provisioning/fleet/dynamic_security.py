"""The rights of all clients as the file of mosquitto's dynamic security plug-in.

The plug-in is the broker's only source of rights: what it does not name is refused, so a certificate that the broker
has not been given the rights of can neither publish nor subscribe. It reads the file only when mosquitto starts
(docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from provisioning.fleet.rights import FLEET_CLIENT, Client, Rights, Site, rights_of


def rights_file(base: str, ha: str, clients: Iterable[tuple[str, Client]], generation: str) -> bytes:
    """Return the JSON for `plugin_opt_config_file`.

    `base`, `ha`: the topic prefixes of Roomtone and Home Assistant; `clients`: names in certificates and their roles;
    `generation`: names this version.
    """
    every: list[tuple[str, Client]] = [*sorted(clients), (FLEET_CLIENT, "fleet")]
    site = Site(base, ha, generation, tuple(name for name, role in every if role == "device"))
    tree = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [{"username": name, "roles": [{"rolename": name}]} for name, _ in every],
        "groups": [],
        "roles": [{"rolename": name, "acls": _rules(rights_of(role, name, site))} for name, role in every],
    }
    return msgspec.json.format(msgspec.json.encode(tree)) + b"\n"


def _rules(rights: Rights) -> list[dict[str, Any]]:
    kinds = (
        ("publishClientSend", rights.publish),
        ("publishClientReceive", rights.receive),
        ("subscribeLiteral", rights.subscribe),
        ("subscribePattern", rights.subscribe_within),
    )
    return [
        {"acltype": kind, "topic": topic, "allow": True, "priority": 0}
        for kind, topics in kinds
        for topic in topics
    ]
