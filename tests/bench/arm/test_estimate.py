"""From counted instructions to a range of milliseconds."""

import pytest

from edge.doctor.benchmark import BundleResult, Detector, Report, device_info, format_report
from edge.doctor.bundle_cost import BundleCost
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
