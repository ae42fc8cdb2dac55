"""The examples of docs/subscribe.md inside Debian 12 and 13, after each line of set-up as it stands there."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.protocol import MicSignal
from tests.support.broker import Broker
from tests.support.link import EarClient, Subscriber
from tests.support.machines import container
from tests.support.messages import utterance
from tests.support.waiting import until
from tests.system.subscribers.debian import command, root
from tests.system.subscribers.examples import check_python_subscriber, example, write_node_red

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

Output = Callable[[], str]
Typed = Callable[[str], contextlib.AbstractContextManager[Output]]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(request: pytest.FixtureRequest) -> Path:
    container.require_container()
    return root(request.param)


@pytest.fixture
def typed(debian: Path, tmp_path: Path) -> Typed:
    """`typed(line)` runs a line in that Debian, and gives what it has printed so far."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)

    @contextlib.contextmanager
    def run(line: str) -> Iterator[Output]:
        name = f"subscriber-{time.monotonic_ns()}"
        place = tmp_path / name
        with place.open("wb") as file:
            process = subprocess.Popen(
                command(debian, shared, name, line),
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield lambda: place.read_text(errors="replace")
        finally:
            process.terminate()
            process.wait(60)

    return run


@pytest.fixture
def shared(typed: Typed, tmp_path: Path) -> Path:
    """It is `/test` there."""
    return tmp_path / "shared"


def shell(number: int, broker: Broker) -> str:
    return example("sh", number).replace("-p 1883", f"-p {broker.port}")


def test_mosquitto_sub(typed: Typed, broker: Broker, ear: EarClient) -> None:
    with typed(shell(0, broker)) as output:
        until(lambda: "SUBACK to my-events" in broker.log, 60, output)
    until(lambda: "my-events" in broker.log.rpartition("SUBACK to my-events")[2])
    ear.tell(utterance(1))
    until(lambda: ear.acks)
    with typed(shell(0, broker)) as output:
        until(lambda: output().startswith('roomtone/kitchen/event {"v":1,'), 60, output)
    with typed(shell(1, broker)) as output:
        until(lambda: "roomtone/kitchen/state" in broker.log, 60, output)
        ear.tell(utterance(2))
        until(lambda: output().endswith("happy\n"), 60, output)


def test_paho(typed: Typed, shared: Path, broker: Broker, ear: EarClient) -> None:
    (shared / "subscriber.py").write_text(example("python", 0))
    with typed(f"python3 /test/subscriber.py 127.0.0.1 {broker.port}") as output:
        check_python_subscriber(output, broker, ear)


def test_aiomqtt(typed: Typed, shared: Path, broker: Broker, ear: EarClient) -> None:
    (shared / "lamp.py").write_text(example("python", 1))
    with typed(f"lamp/bin/python /test/lamp.py 127.0.0.1 {broker.port}") as output:
        until(lambda: "roomtone/+/state" in broker.log, 60, output)
        for _ in range(8):
            ear.report("angry")
        until(lambda: "kitchen angry\n" in output(), 60, output)
        broker.stop()
        until(lambda: "next attempt in 5 s" in output(), 60, output)
        count = broker.log.count("roomtone/+/state")
        broker.start()
        until(lambda: broker.log.count("roomtone/+/state") > count, 60, output)


def test_mqtt_js(typed: Typed, shared: Path, broker: Broker, ear: EarClient) -> None:
    (shared / "mute.mjs").write_text(example("js", 0))
    (shared / "events.mjs").write_text(example("js", 1))
    with typed(f"cp /test/mute.mjs . && node mute.mjs {broker.url} kitchen") as output:
        until(lambda: ear.commands, 60, output)
        ear.say(MicSignal("muted"))
        until(lambda: output() == "kitchen is muted\n", 30, output)
    with typed(f"cp /test/mute.mjs . && node mute.mjs {broker.url} kitchn") as output:
        until(lambda: output().startswith("kitchn does not answer"), 60, output)
    with typed(f"cp /test/events.mjs . && node events.mjs {broker.url}") as output:
        until(lambda: "SUBACK to my-js-subscriber" in broker.log, 60, output)
        ear.tell(utterance(1))
        until(lambda: output() == "kitchen happy 0.7\n", 30, output)


def test_node_red(typed: Typed, shared: Path, broker: Broker, ear: EarClient) -> None:
    write_node_red(shared, broker.port).chmod(0o777)
    with (
        typed("npx node-red --userDir /test/red") as output,
        Subscriber(broker.port, topics="lamp/#") as lamp,
    ):
        until(lambda: "SUBACK to my-node-red" in broker.log, 120, output)
        ear.report("angry", age_s=120)  # said long ago, delivered now
        ear.report("happy")
        ear.report("angry")
        until(lambda: lamp.messages, 60, output)
        time.sleep(2)
    assert [(m.topic, m.payload) for m in lamp.messages] == [("lamp/kitchen", b"red")]
