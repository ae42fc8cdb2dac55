"""The helper that other tests rest on: a real mosquitto; and the broker of the demo."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge.util.child_processes import ended_with_parent
from edge.util.local_ports import accepts_connections
from provisioning.demo import broker as demo
from tests.support.broker import Broker, free_port
from tests.support.waiting import until


def publish(broker):
    return subprocess.run(
        ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-t", "a", "-m", "b", "-q", "1"],
        check=False,
        timeout=10,
        capture_output=True,
    ).returncode


def test_it_answers_and_is_back_on_the_same_port_after_a_kill(broker):
    assert publish(broker) == 0
    broker.kill()
    assert publish(broker) != 0
    broker.start()
    assert publish(broker) == 0
    assert "listener" in (broker.folder / "mosquitto.conf").read_text()


def test_it_takes_a_configuration_of_its_own(tmp_path):
    with Broker("allow_anonymous false", folder=tmp_path) as broker:
        assert publish(broker) != 0
        # Its log follows its answer.
        until(lambda: "not authorised" in broker.log, 10, lambda: broker.log)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's broker is the user's")
def test_the_demos_broker_never_runs_as_root_and_ends_with_the_demo():
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        name, argv, user = demo.command(port, Path(folder))
        assert name == "mosquitto"
        script = (
            "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read()"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", script, *ended_with_parent(user), *argv],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert parent.stdout is not None
        process = Path("/proc", parent.stdout.readline().decode().strip())
        until(lambda: accepts_connections(port), 20)
        assert process.stat().st_uid != 0
        assert "\nNoNewPrivs:\t1" in (process / "status").read_text()
        parent.kill()
        parent.wait(10)
        until(lambda: not accepts_connections(port), 20)
