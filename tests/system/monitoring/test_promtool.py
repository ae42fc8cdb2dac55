"""Prometheus's own tool has nothing to complain about: metrics and alert rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from dashboard.api.metrics import DatabaseFigures, HubMetrics
from dashboard.live.decode import Incoming
from dashboard.live.feed import Feed
from edge.link.metrics import DeviceMetrics
from edge.mqtt.address import BrokerAddress
from edge.protocol import Info
from tests.conftest import ROOT
from tests.support.machines import container
from tests.support.messages import event_of, healthy

MONITORING = ROOT / "docker" / "monitoring"


@pytest.fixture
def promtool() -> list[str]:
    """Prometheus's own tool: installed here, or in the Debian 13 that is kept for tests."""
    kept = container.CACHE / "brokers-trixie"
    if shutil.which("promtool"):
        return ["promtool"]
    if (kept / "usr" / "bin" / "promtool").is_file():
        return [str(kept / "usr" / "bin" / "promtool")]
    pytest.skip("promtool is missing: apt-get install prometheus")


@pytest.mark.parametrize("change", [None, "expr: roomtone_clock_synced =="], ids=["as it is", "with a fault"])
def test_promtool_takes_the_rules(promtool: list[str], tmp_path: Path, change: str | None) -> None:
    text = (MONITORING / "alerts.yaml").read_text(encoding="utf-8")
    if change:
        text = text.replace("expr: roomtone_clock_synced == 0", change)
    (tmp_path / "alerts.yaml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*promtool, "check", "rules", str(tmp_path / "alerts.yaml")], capture_output=True, check=False
    )
    assert (done.returncode == 0) == (change is None), done.stdout + done.stderr


LOST = ("RoomtoneEventsLost", "roomtone_hub_lost_events_last_hour")
DROPPED = ("RoomtoneEventsDropped", "roomtone_dropped_events_total")


@pytest.mark.parametrize(
    ("alert", "series", "values", "fires"),
    [
        (*LOST, "_x30 12x60", True),
        (*LOST, "0x30 12x60", True),
        (*LOST, "0x60", False),
        ("RoomtoneEventsLost", "roomtone_hub_lost_events", "12x30 4x60", False),
        (*DROPPED, "0+1x60", True),
        (*DROPPED, "5x60", False),
        ("RoomtoneEventsDropped", "roomtone_ear_dropped_events_total", "0+1x60", True),
    ],
    ids=[
        "first loss of a room",
        "loss",
        "no loss",
        "old loss leaves the week",
        "no ear",
        "none dropped",
        "by the ear",
    ],
)
def test_alerts_of_lost_events(
    promtool: list[str], tmp_path: Path, alert: str, series: str, values: str, *, fires: bool
) -> None:
    rule = (MONITORING / "alerts.yaml").read_text(encoding="utf-8").split(f"alert: {alert}\n")[1]
    found = re.search(r'summary: "(.*)"\n +description: "(.*)"', rule)
    assert found is not None
    summary, description = (text.replace("{{ $labels.node }}", "kitchen") for text in found.groups())
    expected = {
        "exp_labels": {"node": "kitchen", "severity": "warning"},
        "exp_annotations": {"summary": summary, "description": description},
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": f'{series}{{node="kitchen"}}', "values": values}],
        "alert_rule_test": [
            {"eval_time": "35m", "alertname": alert, "exp_alerts": [expected] if fires else []}
        ],
    }
    file = {"rule_files": [str(MONITORING / "alerts.yaml")], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(json.dumps(file), encoding="utf-8")
    done = subprocess.run(
        [*promtool, "test", "rules", str(tmp_path / "test.yaml")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_metrics_of_a_device(promtool: list[str]) -> None:
    assert complaints(promtool, DeviceMetrics("kitchen", healthy(), "ok", True)) == (0, b"", b"")


def test_promtool_takes_the_metrics_of_the_hub(promtool: list[str]) -> None:
    feed = Feed(BrokerAddress("localhost", 1883), "roomtone")
    for node, leaf, message in (
        ("kitchen", "availability", "online"),
        ("kitchen", "mic", "muted"),
        ("kitchen", "event", event_of("happy", 1_770_000_000.0)),
        ("hall", "info", Info(node="hall", name="Hall", version="1")),
        ("hall", "availability", "offline"),
    ):
        feed.registry.apply(Incoming(node, leaf, message), 1_770_000_000.0)
    figures = DatabaseFigures({"kitchen": 12}, {"kitchen": 4}, 2, 0.999)
    assert complaints(promtool, HubMetrics(feed, figures)) == (0, b"", b"")


def complaints(promtool: list[str], metrics: Collector) -> tuple[int, bytes, bytes]:
    """Exit status, output and errors of `promtool check metrics`."""
    registry = CollectorRegistry()
    registry.register(metrics)
    done = subprocess.run(
        [*promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr
