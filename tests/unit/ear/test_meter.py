"""What the meter draws, and that it leaves a muted microphone alone."""

from pathlib import Path

import pytest

from edge.ear.capture.meter import WIDTH, format_level, refuse_if_muted
from edge.util.errors import UserError


@pytest.mark.parametrize(
    ("level", "peak", "bar", "warning"),
    [
        (-100.0, -100.0, 0, "digital silence"),
        (-40.0, -20.0, 15, ""),
        (-10.0, 0.0, 26, "too loud"),
    ],
)
def test_the_bar_is_as_long_as_it_is_loud(level: float, peak: float, bar: int, warning: str) -> None:
    drawn = format_level(level, peak)
    assert drawn.index("]") == WIDTH + 1
    assert drawn.count("#") == bar
    assert ("|" in drawn) == (peak > -80)
    assert f"{level:.1f} dBFS" in drawn
    assert warning in drawn
    assert len(drawn) < 80


def test_a_muted_microphone_is_not_opened(tmp_path: Path) -> None:
    refuse_if_muted(tmp_path)  # there is no ear
    (tmp_path / "mic").write_text("ok")
    refuse_if_muted(tmp_path)
    (tmp_path / "mic").write_text("muted")
    with pytest.raises(UserError, match="roomtone unmute"):
        refuse_if_muted(tmp_path)
