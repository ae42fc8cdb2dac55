"""Every example of docs/subscribe.md, as it stands there, with a real link and a real broker."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edge.protocol import MicSignal
from tests.conftest import ROOT
from tests.support.broker import Broker
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until
from tests.system.subscribers.examples import check_python_subscriber, example, write_node_red


@contextlib.contextmanager
def running(command, folder, **options):
    """The process, and what it has printed so far."""
    place = folder / f"output-{time.monotonic_ns()}"
    with place.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
    try:
        yield lambda: place.read_text(errors="replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def shell(number, broker):
    return ["sh", "-c", example("sh", number).replace("-p 1883", f"-p {broker.port}")]


def test_mosquitto_sub_prints_events_also_those_from_while_it_was_not_running(tmp_path, broker, ear):
    with running(shell(0, broker), tmp_path):
        until(lambda: "SUBACK to my-events" in broker.log)
    until(lambda: "my-events" in broker.log.rpartition("SUBACK to my-events")[2])
    ear.tell(utterance(1))
    until(lambda: ear.acks)
    with running(shell(0, broker), tmp_path) as output:
        until(lambda: output().startswith('roomtone/kitchen/event {"v":1,'), what="the event of the meantime")


@pytest.mark.skipif(shutil.which("jq") is None, reason="apt-get install jq")
def test_mosquitto_sub_prints_the_emotion_of_the_room(tmp_path, broker, ear):
    with running(shell(1, broker), tmp_path) as output:
        until(lambda: "roomtone/kitchen/state" in broker.log)
        ear.tell(utterance(1))
        until(lambda: output().endswith("happy\n"))


def test_mosquitto_sub_prints_that_a_room_becomes_agitated(tmp_path, broker, ear):
    with running(shell(2, broker), tmp_path) as output:
        until(lambda: "roomtone/+/episode" in broker.log)
        for _ in range(3):
            ear.report("angry")
        until(lambda: output().startswith('roomtone/kitchen/episode {"v":1,"event_type":"started",'))


@pytest.fixture(scope="session")
def python():
    """`python(number, packages)`: how an example is run with packages that are installed once for it alone."""

    def command(number, folder, broker, *packages):
        program = folder / f"example-{number}.py"
        program.write_text(example("python", number))
        place = Path(os.environ.get("ROOMTONE_ARTEFACTS", ROOT / "artefacts")) / "pip" / "-".join(packages)
        if packages and not place.is_dir():
            with tempfile.TemporaryDirectory(dir=made(place.parent)) as part:
                pip = [sys.executable, "-m", "pip", "install", "-q", "--target", part, *packages]
                subprocess.run(pip, check=True, timeout=480)
                shutil.copytree(part, place)
        environment = {**os.environ, "PYTHONPATH": str(place) if packages else ""}
        return running([sys.executable, str(program), broker.host, str(broker.port)], folder, env=environment)

    return command


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    "packages", [(), pytest.param(("paho-mqtt==1.6.1",), marks=pytest.mark.long)], ids=["paho 2", "paho 1.6"]
)
def test_the_python_subscriber_prints_each_event_once_in_order_and_closes_gaps(
    tmp_path, python, broker, ear, packages
):
    with python(0, tmp_path, broker, *packages) as output:
        check_python_subscriber(output, broker, ear)


@pytest.mark.long
def test_the_lamp_with_asyncio_follows_the_room_and_an_outage(tmp_path, python, broker, ear):
    with python(1, tmp_path, broker, "aiomqtt>=2,<3") as output:
        until(lambda: "roomtone/+/state" in broker.log, what=output)
        for _ in range(8):
            ear.report("angry")
        until(lambda: "kitchen angry\n" in output(), what=output)
        broker.stop()
        until(lambda: "next attempt in 5 s" in output(), what=output)
        count = broker.log.count("roomtone/+/state")
        broker.start()
        until(lambda: broker.log.count("roomtone/+/state") > count, what=output)
        lines = output().count("kitchen ")
        ear.report("angry")
        until(lambda: output().count("kitchen ") > lines, 60, output)


@pytest.fixture(scope="session")
def npm():
    """Installs packages of the public registry once, outside the repository's history."""

    def install(package):
        if shutil.which("npm") is None:
            pytest.skip("apt-get install npm")
        place = Path(os.environ.get("ROOMTONE_ARTEFACTS", ROOT / "artefacts")) / "npm" / package
        # An installation that was cut off leaves half of it, which npm does not mend: only a whole one has the mark.
        mark = place / "whole"
        if not mark.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), package]
            done = subprocess.run(command, capture_output=True, timeout=480, check=False)
            if done.returncode:
                pytest.skip(f"npm cannot install {package} here: {done.stderr.decode()[-300:]}")
            mark.touch()
        return place

    return install


def script(npm, name, text):
    path = npm("mqtt@5") / name
    path.write_text(text)
    return ["node", str(path)]


def test_the_javascript_program_mutes_a_room(tmp_path, broker, ear, npm):
    command = script(npm, "mute.mjs", example("js", 0))
    with running([*command, broker.url, "kitchen"], tmp_path) as output:
        until(lambda: ear.commands, 30, output)
        ear.say(MicSignal("muted"))
        until(lambda: output() == "kitchen is muted\n", 10, output)


@pytest.mark.long
def test_the_javascript_program_says_that_an_unknown_room_does_not_answer(tmp_path, broker, npm):
    command = script(npm, "mute.mjs", example("js", 0))
    with running([*command, broker.url, "kitchn"], tmp_path) as output:
        until(lambda: output().startswith("kitchn does not answer"), 60, output)


def test_the_javascript_subscriber_prints_each_event_once(tmp_path, broker, ear, npm):
    command = script(npm, "events.mjs", example("js", 1))
    with running([*command, broker.url], tmp_path) as output:
        until(lambda: "SUBACK to my-js-subscriber" in broker.log, 30, output)
        ear.tell(utterance(1))
        until(lambda: output() == "kitchen happy 0.7\n", 10, output)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_node_red_flow_turns_the_lamp_red(tmp_path, npm):
    place = npm("node-red@4")
    with Broker(folder=tmp_path) as broker, LinkProcess(tmp_path, broker.port) as link:
        red = write_node_red(tmp_path, broker.port)
        command = [str(place / "node_modules" / ".bin" / "node-red"), "--userDir", str(red)]
        with running(command, tmp_path), Subscriber(broker.port, topics="lamp/#") as lamp:
            until(lambda: "SUBACK to my-node-red" in broker.log, 60, "Node-RED subscribes")
            with EarClient(link.socket) as ear:
                ear.report("angry", age_s=120)  # said long ago, delivered now
                ear.report("happy")
                ear.report("angry")
                until(lambda: lamp.messages)
                time.sleep(2)
        assert [(m.topic, m.payload) for m in lamp.messages] == [("lamp/kitchen", b"red")]
