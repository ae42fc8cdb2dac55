"""`roomtone model status` shows every value of its report, as JSON and as text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Struct

from edge.cli.doctor import format_check
from edge.cli.model_status import BaselineStatus, ModelStatus, ReleaseStatus, format_status, read_status
from edge.config.load import load
from edge.doctor.check import Check
from edge.ear.baseline_store import MIN_UTTERANCES, BaselineStore, Quality
from edge.inference import bundle
from edge.inference.classifier import Classifier
from tests.support.bundles import tiny

FULL = ModelStatus(
    model="base-7.8.9",
    path="/models/base-7.8.9",
    sha256="ab" * 32,
    kernels="full-int8",
    temperature=1.375,
    abstain_below=0.4125,
    min_ms=417,
    baseline=BaselineStatus(
        enabled=True,
        reason=None,
        file="/state/link.baseline.json",
        utterances=1234,
        shrinkage=0.83,
        since="2026-01-02T03:04:05.678Z",
        saved="2026-02-03T04:05:06.789Z",
    ),
    releases=ReleaseStatus(
        folder="/store",
        shipped=False,
        release=42,
        floor=37,
        probation=True,
        previous="base-7.8.8",
        refused=("base-6.6.6",),
        error="no space left",
    ),
)


@pytest.mark.parametrize("report", [ModelStatus, BaselineStatus, ReleaseStatus])
def test_no_field_of_the_report_has_a_default(report: type[Struct]) -> None:
    fields = msgspec.structs.fields(report)
    assert fields
    assert [field.name for field in fields if not field.required] == []


def test_every_field_is_in_the_text() -> None:
    text = format_status(FULL)
    shown = {
        "shrinkage": "83%",
        "probation": "on probation",
        "release": "42",
        "refused": "base-6.6.6",
    }
    unseen = {"enabled", "shipped", "reason"}  # they choose the lines; see the tests below
    for part in (FULL, FULL.baseline, FULL.releases):
        for field in msgspec.structs.fields(type(part)):
            value = getattr(part, field.name)
            if field.name in unseen or isinstance(value, Struct):
                continue
            assert shown.get(field.name, str(value)) in text, field.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"enabled": False, "reason": "`baseline.enabled` is off"}, "off: `baseline.enabled` is off"),
        ({"utterances": 0}, "no data yet"),
        ({"utterances": 0, "reason": "the file is damaged"}, "the file is damaged"),
    ],
)
def test_without_a_baseline_the_reason_is_shown(changes: dict[str, object], words: str) -> None:
    status = msgspec.structs.replace(FULL, baseline=msgspec.structs.replace(FULL.baseline, **changes))
    assert words in format_status(status)


def test_the_model_of_the_package_is_named_as_such() -> None:
    releases = msgspec.structs.replace(FULL.releases, shipped=True, refused=(), error="")
    text = format_status(msgspec.structs.replace(FULL, releases=releases))
    assert "the model of the package" in text
    assert "refused" not in text
    assert "on probation" not in text


def test_the_values_are_those_of_the_saved_baseline(tmp_path: Path) -> None:
    """Each number of the report is that of the baseline that the ear has saved, and none is a constant."""
    found = bundle.load(tiny.make(tmp_path / "bundle", relative=True))
    config = load(
        overrides={
            "model.bundle": str(found.path),
            "runtime.ear_state_dir": str(tmp_path),
            "runtime.socket": str(tmp_path / "link.sock"),
            "updates.dir": str(tmp_path / "models"),
        }
    )
    store = BaselineStore(tmp_path / "link.baseline.json", found, config.baseline.memory)
    result = Classifier(found).classify(np.random.default_rng(1).normal(0, 3000, 32_000).astype(np.int16))
    for _ in range(MIN_UTTERANCES + 3):
        store.update(result, Quality(snr_db=20.0, clipped=0.0))
    store.close()
    status = read_status(config).baseline
    assert (status.enabled, status.reason) == (True, None)
    assert status.utterances == MIN_UTTERANCES + 3
    assert status.shrinkage == pytest.approx(store.baseline.shrinkage, abs=1e-3)
    assert 0 < status.shrinkage < 1
    assert status.since is not None and status.saved is not None


def test_names_from_elsewhere_cannot_reach_the_terminal() -> None:
    status = msgspec.structs.replace(FULL, model="base\x1b[2J", path="/models/\x9b2Jbase")
    text = format_status(status)
    assert "base\\x1b[2J" in text and all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("name", ["usb mic\x1b]0;title\x07", "mic\nWARN fake: line"])
def test_a_check_of_the_doctor_is_one_line_and_one_for_the_remedy(name: str) -> None:
    text = format_check(Check("microphone", "fail", f"{name}: cannot be opened", f"unplug {name}"))
    assert len(text.split("\n")) == 2
    assert all(line.isprintable() for line in text.split("\n"))
