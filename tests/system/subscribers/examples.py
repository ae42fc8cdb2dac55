"""The examples of docs/subscribe.md and the lines of set-up before them, as they stand on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "subscribe.md").read_text(encoding="utf-8")
NODE_RED_SETTINGS = (
    "module.exports = {flowFile: 'flows.json', httpAdminRoot: false, httpNodeRoot: false,"
    " uiHost: '127.0.0.1', uiPort: 0, telemetry: {enabled: false}};"
)


def example(language: str, number: int = 0) -> str:
    """The text of the block of this language with this number."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[number]


def set_up_lines() -> list[str]:
    """The commands of all paragraphs that begin with `Set up:`; a program that stays is left out (`npx`)."""
    paragraphs = re.findall(r"^Set up: (.*?)(?:;|\n\n)", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for text in paragraphs for line in re.findall(r"`([^`]+)`", text)]
    return [line for line in lines if not line.startswith("npx ")]


def write_node_red(folder: Path, port: int) -> Path:
    """Write the flow and settings of Node-RED, without its editor; return its folder."""
    flow = json.loads(example("json"))
    next(node for node in flow if node["type"] == "mqtt-broker")["port"] = str(port)
    made = folder / "red"
    made.mkdir()
    (made / "flows.json").write_text(json.dumps(flow))
    (made / "settings.js").write_text(NODE_RED_SETTINGS)
    return made
