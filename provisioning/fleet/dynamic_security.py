"""What a device may subscribe to, as the file of mosquitto's dynamic security plug-in.

The access list (`access.py`) decides what is delivered, and grants every SUBSCRIBE. The plug-in has no patterns, so its
file names every device; about whom it does not name, and about publishing, it leaves the word to the access list. It
reads the file at its start alone (docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

DEVICE: Final = ".device"
"""The role of all devices; a node id has no dot."""


def subscriptions(base: str, ha: str, devices: Iterable[str]) -> bytes:
    """The file for `plugin_opt_config_file`: JSON as the plug-in documents it, with the node ids of `devices`."""
    nodes = sorted(devices)
    shared = {
        "rolename": DEVICE,
        "acls": [
            _rule("subscribeLiteral", f"{base}/fleet/announce", allow=True),
            _rule("subscribeLiteral", f"{ha}/status", allow=True),
            _rule("subscribePattern", "#", allow=False),
        ],
    }
    own = [
        {"rolename": node, "acls": [_rule("subscribePattern", f"{base}/{node}/cmd/+", allow=True)]}
        for node in nodes
    ]
    tree = {
        # No opinion on all else: the access list has one.
        "defaultACLAccess": dict.fromkeys(
            ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), False
        ),
        "clients": [
            {"username": node, "roles": [{"rolename": node, "priority": 1}, {"rolename": DEVICE}]}
            for node in nodes
        ],
        "groups": [],
        "roles": [shared, *own],
    }
    return msgspec.json.format(msgspec.json.encode(tree)) + b"\n"


def _rule(kind: str, topic: str, *, allow: bool) -> dict[str, Any]:
    """Literals come before patterns, and within a kind the higher priority: a denial of all comes last."""
    return {"acltype": kind, "topic": topic, "allow": allow, "priority": 0 if allow else -1}
