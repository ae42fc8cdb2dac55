"""The examples of docs/subscribe.md and the lines of set-up before them, as they stand on the page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT
from tests.support.broker import Broker
from tests.support.link import EarClient, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until

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


def check_python_subscriber(
    output: Callable[[], str], broker: Broker, ear: EarClient, seconds: float = 60.0
) -> None:
    """Assert that the Python subscriber, which runs, prints each event once, in order, and asks for what it misses."""
    until(lambda: "SUBACK to my-subscriber" in broker.log, seconds, output)
    sent = [ear.tell(utterance(1))]
    until(lambda: output().count("\n") == 1, seconds, output)
    # Another client with its id ends its session: it does not receive what is published then.
    with Subscriber(broker.port, "my-subscriber", topics="other"):
        sent += [ear.tell(utterance(2)), ear.tell(utterance(3))]
        until(lambda: len(ear.acks) == len(sent), seconds)
    count = broker.log.count("SUBACK to my-subscriber")
    until(lambda: broker.log.count("SUBACK to my-subscriber") > count, seconds)
    sent.append(ear.tell(utterance(4)))
    until(lambda: output().count("\n") == len(sent), seconds, output)
    ear.tell(sent[-1])
    time.sleep(0.5)
    lines = [line.split() for line in output().splitlines()]
    assert [line[1] for line in lines] == [str(one.n) for one in sent]
    assert len({line[-1] for line in lines}) == len(sent)
