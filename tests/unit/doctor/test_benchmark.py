"""`roomtone doctor --bench` and the notice of a slow interpreter, on this very device."""

from pathlib import Path

from edge.doctor.benchmark import BundleResult, DeviceInfo, _result, recommend
from edge.doctor.bundle_cost import BundleCost
from edge.inference.pace import Pace

PI = DeviceInfo(
    cpu="Raspberry Pi Zero 2 W Rev 1.0",
    architecture="aarch64",
    cores=4,
    memory_mb=448,
    python="3.11.2",
    cpuinfo=True,
)


def candidate(family: str, cpu_ms: float, rss_mb: float = 70.0, error: str = "") -> BundleResult:
    cost = BundleCost(
        cpu_ms=cpu_ms, wall_ms=cpu_ms, inference_cpu_ms=cpu_ms, rss_mb=rss_mb, runtime="litert 2", error=error
    )
    return _result(family, Path(f"/models/{family}-1.0.0"), cost, 0.05, PI)


def test_the_better_bundle_is_taken_where_it_fits() -> None:
    chosen, why = recommend([candidate("base", 200), candidate("small", 20)])
    assert chosen == "base-1.0.0"
    assert "200 ms" in why


def test_the_light_bundle_is_taken_where_the_better_one_is_too_slow_or_too_big() -> None:
    chosen, why = recommend([candidate("base", 900), candidate("small", 60)])
    assert chosen == "small-1.0.0"
    assert "60 ms" in why
    assert "base-1.0.0 does not fit: 900 ms" in why
    chosen, why = recommend([candidate("base", 200, rss_mb=150), candidate("small", 60)])
    assert chosen == "small-1.0.0"
    assert "150 MB" in why


def test_where_nothing_fits_the_reason_is_said_and_what_would_help() -> None:
    assert recommend([candidate("base", 900)]) == (
        None,
        "base-1.0.0 does not fit: 900 ms for 3 s of speech, limit 500 ms; "
        "a bundle of the family `small` would be lighter, but there is none here",
    )
    chosen, why = recommend([candidate("base", 0, error="no TFLite interpreter"), candidate("small", 800)])
    assert chosen is None
    assert "no TFLite interpreter" in why


def test_a_slow_interpreter_is_told_from_a_slow_box() -> None:
    # The same half second: on a slow box it is much arithmetic, on a fast one it is not.
    assert not Pace(0.5 / 0.08, cpuinfo=True).slow
    assert Pace(0.5 / 0.005, cpuinfo=True).slow
    assert "cpuinfo" in Pace(2.0, cpuinfo=False).why
