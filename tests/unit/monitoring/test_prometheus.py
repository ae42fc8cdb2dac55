"""Alert rules, the dashboard for Grafana and docs/monitoring.md name metrics that exist, and all of them."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from edge.link.metrics import DeviceMetrics
from tests.conftest import ROOT
from tests.unit.link.test_metrics import HEALTH

MONITORING = ROOT / "docker" / "monitoring"
PAGE = ROOT / "docs" / "monitoring.md"
NAME = re.compile(r"\broomtone_[a-z0-9_]+")


def device_metrics() -> set[str]:
    registry = CollectorRegistry()
    registry.register(DeviceMetrics("kitchen", HEALTH, "ok", True))
    return set(re.findall(r"^(roomtone_\w+)[{ ]", generate_latest(registry).decode(), re.MULTILINE))


def hub_metrics() -> set[str]:
    """Names as the source has them: a hub needs a database and a broker to be asked."""
    source = (ROOT / "dashboard" / "api" / "metrics.py").read_text(encoding="utf-8")
    gauges = set(re.findall(r'(?:_gauge|_by_label)\(\s*"(\w+)"', source)) | {
        "lost_events",
        "lost_events_last_hour",
        "info",
    }
    counters = {f"{name}_total" for name in re.findall(r'_counter\(\s*"(\w+)"', source)}
    return {f"roomtone_hub_{name}" for name in gauges | counters}


def documented() -> set[str]:
    return set(re.findall(r"^\| `(roomtone_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_metric_is_documented_and_no_other() -> None:
    assert documented() == device_metrics() | hub_metrics()


@pytest.mark.parametrize("file", ["alerts.yaml", "grafana-dashboard.json"])
def test_rules_and_dashboard_use_metrics_that_exist(file: str) -> None:
    used = set(NAME.findall((MONITORING / file).read_text(encoding="utf-8")))
    assert len(used) > 8
    assert used <= device_metrics() | hub_metrics()


def test_the_dashboard_is_what_grafana_imports() -> None:
    tree = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert {"title", "uid", "schemaVersion", "panels", "templating"} <= set(tree)
    ids = [panel["id"] for panel in tree["panels"]]
    assert len(ids) == len(set(ids)) >= 10
    for panel in tree["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
