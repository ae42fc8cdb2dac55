"""`python -m edge.protocol.asyncapi`: docs/asyncapi.json, the MQTT interface as an AsyncAPI 3.0 document.

It is generated from the same structs and tables as docs/mqtt.md; a test compares it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import msgspec

from edge.protocol.commands import Command, Response
from edge.protocol.json_schema import PAYLOADS, VERBS, readable

REFERENCE: Final = "#/components/schemas/{name}"
PARAMETERS: Final = {
    "base": {"default": "roomtone", "description": "Base topic of the site (`node.base_topic`)."},
    "node": {"description": "Id of the device (`node.id`)."},
}
SUBSCRIBE: Final = (
    "Topics are below `{base}/{node}`. "
    "Operations are those of the device: what it sends, a subscriber receives."
)


def document(version: str) -> dict[str, Any]:
    """Return the document; `version` is that of the software."""
    published = [row for row in PAYLOADS if "<" not in row[0]]
    types = [row[4] for row in published]
    schemas, components = msgspec.json.schema_components([*types, Command, Response], ref_template=REFERENCE)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for (leaf, qos, retain, kind, _, when), schema in zip(published, schemas, strict=False):
        content = "application/json" if kind == "JSON" else "text/plain"
        channels[leaf] = _channel(leaf, readable(schema), content, when)
        operations[f"send_{leaf}"] = _operation("send", leaf, qos, retain == "yes", when)
    for verb, effect in VERBS:
        for name, schema, text in (
            (f"cmd/{verb}", schemas[-2], effect),
            (f"resp/{verb}", schemas[-1], f"Response to `{verb}`."),
        ):
            channels[name] = _channel(name, readable(schema), "application/json", text)
        operations[f"receive_{verb}"] = {
            **_operation("receive", f"cmd/{verb}", 1, False, effect),
            "reply": {"channel": _reference(f"resp/{verb}")},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Roomtone", "version": version, "description": SUBSCRIBE},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": readable(components)},
    }


def _channel(name: str, schema: Any, content: str, text: str) -> dict[str, Any]:
    message = {"contentType": content, "payload": schema}
    return {
        "address": f"{{base}}/{{node}}/{name}",
        "description": text,
        "parameters": PARAMETERS,
        "messages": {"message": message},
    }


def _operation(action: str, channel: str, qos: int, retain: bool, text: str) -> dict[str, Any]:
    binding = {"qos": qos, "retain": retain, "bindingVersion": "0.2.0"}
    return {
        "action": action,
        "channel": _reference(channel),
        "summary": text,
        "bindings": {"mqtt": binding},
    }


def _reference(channel: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel.replace('/', '~1')}"}


def text() -> str:
    """Return the text of docs/asyncapi.json; its version is that of the protocol."""
    from edge.protocol.messages import PROTOCOL

    return json.dumps(document(f"{PROTOCOL}.0.0"), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
