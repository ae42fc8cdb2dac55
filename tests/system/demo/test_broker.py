"""The helper that other tests rest on: a real mosquitto."""

import subprocess

from tests.support.broker import Broker


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
        assert "not authorised" in broker.log
