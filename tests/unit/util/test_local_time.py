"""Local time follows the file of the time zone while the process runs, and a clock that is set."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.ear.mute.mute_state import MuteState
from edge.util.system_clock import LocalClock

ZONES = Path("/usr/share/zoneinfo")


@pytest.fixture
def localtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (ZONES / "Asia/Kolkata").is_file():
        pytest.skip("no time zones here: apt install tzdata")
    monkeypatch.delenv("TZ", raising=False)
    link = tmp_path / "localtime"
    link.symlink_to(ZONES / "Asia/Kolkata")
    return link


def set_zone(link: Path, zone: str) -> None:
    """As `timedatectl set-timezone` does."""
    new = link.with_name("localtime.new")
    new.symlink_to(ZONES / zone)
    new.replace(link)


def offset(clock: LocalClock) -> timedelta | None:
    return clock.now().utcoffset()


def test_another_zone_holds_at_once(localtime: Path) -> None:
    clock = LocalClock(localtime)
    assert offset(clock) == timedelta(hours=5.5)
    set_zone(localtime, "Pacific/Honolulu")
    assert offset(clock) == timedelta(hours=-10)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_file_that_is_copied_over_is_noticed_as_well(localtime: Path) -> None:
    localtime.unlink()
    localtime.write_bytes((ZONES / "Asia/Kolkata").read_bytes())
    clock = LocalClock(localtime)
    assert offset(clock) == timedelta(hours=5.5)
    localtime.write_bytes((ZONES / "Asia/Kathmandu").read_bytes())
    os.utime(localtime, ns=(1, 1))
    assert offset(clock) == timedelta(hours=5.75)


@pytest.mark.parametrize("content", [b"", b"no zone at all", b"TZif2"])
def test_a_damaged_file_keeps_the_zone_before(localtime: Path, content: bytes) -> None:
    clock = LocalClock(localtime)
    assert offset(clock) == timedelta(hours=5.5)
    localtime.unlink()
    assert offset(clock) == timedelta(hours=5.5)
    localtime.write_bytes(content)
    assert offset(clock) == timedelta(hours=5.5)


def test_quiet_hours_follow_the_zone_of_the_system(localtime: Path, tmp_path: Path) -> None:
    clock = LocalClock(localtime)
    hour = clock.now()
    span = f"{hour - timedelta(hours=1):%H:%M}-{hour + timedelta(hours=1):%H:%M}"
    mute = MuteState(tmp_path, [span], clock.now)
    assert mute.reasons() == ["quiet hours"]
    set_zone(localtime, "Pacific/Honolulu")
    assert mute.reasons() == []
    set_zone(localtime, "Asia/Kolkata")
    assert mute.reasons() == ["quiet hours"]


@pytest.mark.parametrize(
    "jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=3653), timedelta(days=-3653)]
)
def test_quiet_hours_follow_a_clock_that_jumps(tmp_path: Path, jump: timedelta) -> None:
    moment = [datetime(2026, 6, 1, 22, 30)]
    mute = MuteState(tmp_path, ["22:00-23:00"], lambda: moment[0])
    assert mute.reasons() == ["quiet hours"]
    moment[0] += jump
    assert mute.reasons() == (["quiet hours"] if moment[0].hour == 22 else [])
    moment[0] -= jump
    assert mute.reasons() == ["quiet hours"]
