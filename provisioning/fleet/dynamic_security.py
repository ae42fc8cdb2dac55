"""Which topics a device may subscribe to: the file of mosquitto's dynamic security plug-in.

The access list (`access_list.py`) decides what is delivered, but mosquitto grants every SUBSCRIBE with it. The plug-in
refuses subscriptions. It has no patterns, so its file lists every device; for other clients and for publishing it
defers to the access list. It reads the file only when mosquitto starts
(docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

DEVICE: Final = ".device"
"""The role that all devices share; its dot keeps it apart from node ids."""


def subscription_rules(base: str, ha: str, devices: Iterable[str]) -> bytes:
    """Return the JSON for `plugin_opt_config_file`; `devices`: node ids, `base` and `ha`: the topic prefixes."""
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
        {
            "rolename": node,
            "acls": [
                _rule("subscribePattern", f"{base}/{node}/cmd/+", allow=True),
                _rule("subscribeLiteral", f"{base}/{node}/availability", allow=True),
            ],
        }
        for node in nodes
    ]
    tree = {
        # For everything else the plug-in defers to the access list.
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
    """Return one rule. Literals precede patterns, then the higher priority: the denial of everything comes last."""
    return {"acltype": kind, "topic": topic, "allow": allow, "priority": 0 if allow else -1}
