"""From counted instructions to a range of milliseconds."""

import subprocess
from pathlib import Path

import pytest

from edge.doctor.benchmark import BundleResult, Detector, Report, device_info, format_report
from edge.doctor.bundle_cost import BundleCost
from edge.ear.process import SELF_TEST_PASSED
from tests.bench.arm import count, estimate
from tests.bench.arm.__main__ import ROWS
from tests.conftest import ROOT


def test_a_count_is_what_is_between_two_marks_less_the_cost_of_a_mark():
    text = "0 1000 0\n1 1010 0\n2 5000 1\n3 8010 61\n4 9000 61\n5 11010 61\n-1 20000 61\n"
    found = count.works_of(count.read_marks(text), {"three rounds": 3, "half a second": 0.5})
    assert found == {"three rounds": count.Count(1000, 20), "half a second": count.Count(4000, 0)}


def test_a_program_that_did_not_end_is_an_error():
    with pytest.raises(count.CountError):
        count.read_marks("0 1000 0\n1 1010 0\n")


class Emulated:
    """In place of an emulator: each run counts what its turn says, and writes the ear's lines."""

    def __init__(self, *runs: tuple[int, str]) -> None:
        self.runs = list(runs)

    def python(self, plugin: str, _arguments: object) -> subprocess.CompletedProcess[str]:
        instructions, said = self.runs.pop(0)
        Path(plugin.partition("out=")[2]).write_text(f"-1 {instructions} 0\n")
        return subprocess.CompletedProcess([], 0, "", said)


LISTENING = "INFO ear: [listening] listening\n"
TESTED = LISTENING + "DEBUG ear: " + SELF_TEST_PASSED % 0.015


def test_a_count_of_silence_with_a_self_test_in_it_is_made_again() -> None:
    emulated = Emulated((1000, LISTENING), (9000, TESTED), (9000, TESTED), (1800, LISTENING))
    machine = count.Machine("a machine", emulated.python)
    found = count.count_silence(machine, Path("plugin"), lambda seconds: Path(f"{seconds}.toml"))
    assert found == count.Count(100, 0)
    assert emulated.runs == []


def test_a_machine_too_busy_for_a_count_without_a_self_test_is_an_error() -> None:
    machine = count.Machine("a machine", Emulated(*[(1000, TESTED)] * 9).python)
    with pytest.raises(count.CountError, match="too busy"):
        count.count_silence(machine, Path("plugin"), lambda seconds: Path(f"{seconds}.toml"))


def test_a_range_holds_the_time_at_any_share_of_the_width_within_the_two_that_are_stated():
    processor = estimate.Processor("a processor", 2.0, 4)
    least, most = processor.milliseconds(112e6)
    assert (least, most) == (pytest.approx(20.0), pytest.approx(140e6 / 3 / 1e6))
    assert processor.share_of_width(112e6, least) == pytest.approx(0.7)
    assert processor.share_of_width(112e6, most) == pytest.approx(0.3)


def test_the_pages_and_the_doctor_use_the_names_of_the_rows():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    missing = [name for name in ROWS.values() if f"| {name} |" not in page]
    assert missing == []
    cost = BundleCost(cpu_ms=50.0, wall_ms=50.0, inference_cpu_ms=40.0, rss_mb=70.0)
    result = BundleResult(
        bundle="base-1.0.0", family="base", path="/models", cost=cost, pace=5.0, fits=True, why=""
    )
    report = Report(
        device=device_info(), runtimes=(), detector=Detector(engine="silero", share=0.002), bundles=(result,),
        recommended="base-1.0.0", why="",
    )  # fmt: skip
    printed = format_report(report)
    for name in ("voice activity, 1 s of sound", "base: inference", "base: 3 s of speech"):
        assert name in ROWS.values()
        assert all(part in printed for part in name.replace(":", ",").split(", "))
