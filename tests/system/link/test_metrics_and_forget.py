"""The link for Prometheus, and the end of a device."""

import subprocess
import sys
import urllib.error
import urllib.request

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.link.delivery.episodes import Waiting
from edge.protocol import EarHealth, Episode, HealthReport
from tests.support.broker import free_port
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until


def scrape(port, path="/metrics"):
    """Value by name; the state of the microphone by `(name, state)`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {(s.name, s.labels[s.name]) if s.name in s.labels else s.name: s.value for s in samples}


def test_prometheus_reads_the_health(tmp_path, broker, subscriber):
    port = free_port()
    with LinkProcess(tmp_path, broker.port, settings=(f"runtime.metrics_port={port}",)) as link:
        until(lambda: "connected" in link.codes)
        with EarClient(link.socket) as ear:
            ear.raw(b"rubbish")
            report = EarHealth(
                frames=7,
                overruns=0,
                utterances=1,
                inference_p50_ms=1,
                inference_p95_ms=3,
                rss_mb=90,
                dropped=0,
            )
            ear.say(HealthReport(report))
            until(lambda: scrape(port).get("roomtone_ear_frames_total") == 7)
            found = scrape(port)
        assert found["roomtone_broker_connected"] == 1
        assert found["roomtone_microphone", "ok"] == 1
        assert found["roomtone_rejected_messages_total"] == 1
        assert found["roomtone_spool_events"] == 0
        assert not [name for name in found if "certificate" in name]
        with pytest.raises(urllib.error.HTTPError):
            scrape(port, "/")
        broker.kill()
        until(lambda: scrape(port)["roomtone_broker_connected"] == 0)
        assert link.stop() == 0


def listening(pid):
    """Ports on which the process listens for TCP."""
    done = subprocess.run(["ss", "-Hltnp"], capture_output=True, check=True)
    return [line for line in done.stdout.decode().splitlines() if f"pid={pid}," in line]


def test_metrics_are_off_unless_asked_for_and_then_on_loopback_only(tmp_path, broker):
    with LinkProcess(tmp_path, broker.port) as link:
        assert listening(link.process.pid) == []
        link.stop()
    port = free_port()
    with LinkProcess(tmp_path, broker.port, settings=(f"runtime.metrics_port={port}",)) as link:
        (line,) = listening(link.process.pid)
        assert f"127.0.0.1:{port} " in line


def test_a_port_that_is_taken_is_said(tmp_path, broker):
    command = [sys.executable, "-m", "edge.cli.main", "link", "--set", f"runtime.socket={tmp_path}/s"]
    done = subprocess.run(
        [*command, "--set", f"runtime.metrics_port={broker.port}"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert b"choose another `runtime.metrics_port`" in done.stderr
    assert not (tmp_path / "s").exists()


def forget(link, port):
    settings = [f"runtime.socket={link.socket}", "node.id=kitchen", f"mqtt.port={port}"]
    command = [sys.executable, "-m", "edge.cli.main", "link", "--forget"]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, timeout=40, check=False)


def test_a_device_that_is_retired_leaves_nothing_retained(tmp_path, broker):
    with LinkProcess(tmp_path, broker.port) as link:
        with EarClient(link.socket) as ear:
            ear.tell(utterance(1))
            until(lambda: ear.acks, 20)
        link.stop()
        assert forget(link, broker.port).returncode == 0
    with Subscriber(broker.port, topics="#") as newcomer:
        newcomer.publish("end", "1")
        until(lambda: newcomer.messages)
        assert [m.topic for m in newcomer.messages] == ["end"]
    broker.kill()
    done = forget(link, broker.port)
    assert done.returncode == 2
    assert b"start the broker" in done.stderr


def test_a_device_that_is_retired_after_its_link_was_killed_ends_the_episode(tmp_path, broker):
    end = Episode(
        event_type="ended",
        started_at="2026-01-01T10:00:00.000Z",
        peak=0.4,
        model="base-0.8.2",
        interrupted=True,
    )
    file = tmp_path / "kitchen.episode"
    file.write_bytes(msgspec.json.encode(Waiting("roomtone", "kitchen", end)))
    link = LinkProcess(tmp_path, broker.port)
    with Subscriber(broker.port) as subscriber:
        assert forget(link, broker.port).returncode == 0
        until(lambda: subscriber.of("episode"))
        assert msgspec.json.decode(subscriber.last("episode"), type=Episode) == end
    assert not file.exists()
