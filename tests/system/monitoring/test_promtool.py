"""Prometheus's own tool has nothing to complain about: metrics and alert rules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from edge.link.metrics import DeviceMetrics
from tests.conftest import ROOT
from tests.support.machines import container
from tests.support.messages import healthy

MONITORING = ROOT / "docker" / "monitoring"


def promtool() -> list[str] | None:
    """Prometheus's own tool: installed here, or in the Debian 13 that is kept for tests."""
    kept = container.CACHE / "brokers-trixie"
    if shutil.which("promtool"):
        return ["promtool"]
    if (kept / "usr" / "bin" / "promtool").is_file():
        return [str(kept / "usr" / "bin" / "promtool")]
    return None


@pytest.mark.parametrize("change", [None, "expr: roomtone_clock_synced =="], ids=["as it is", "with a fault"])
def test_promtool_takes_the_rules(tmp_path: Path, change: str | None) -> None:
    tool = promtool()
    if tool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    text = (MONITORING / "alerts.yaml").read_text(encoding="utf-8")
    if change:
        text = text.replace("expr: roomtone_clock_synced == 0", change)
    (tmp_path / "alerts.yaml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*tool, "check", "rules", str(tmp_path / "alerts.yaml")], capture_output=True, check=False
    )
    assert (done.returncode == 0) == (change is None), done.stdout + done.stderr


def test_promtool_takes_the_metrics() -> None:
    tool = promtool()
    if tool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    registry = CollectorRegistry()
    registry.register(DeviceMetrics("kitchen", healthy(), "ok", True))
    done = subprocess.run(
        [*tool, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
