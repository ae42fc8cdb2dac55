"""Who may close the microphone, who may open it again, and what outlives a restart."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.config.load import ConfigError, load
from edge.config.settings import Button
from edge.ear.mute import button as buttons
from edge.ear.mute.button import GpioPanel, NoPanel, attach
from edge.ear.mute.mute_state import MuteState, read_mic_state
from edge.util.errors import UserError
from tests.support.log_codes import codes


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute)


def test_each_wish_holds_by_itself_and_outlives_the_process(tmp_path: Path) -> None:
    first = MuteState(tmp_path)
    assert first.reasons() == []
    first.set_remote(True)
    first.set_local(True)
    again = MuteState(tmp_path)
    assert again.reasons() == ["muted at the device", "muted remotely"]
    again.set_remote(False)
    assert again.reasons() == ["muted at the device"]
    again.set_local(False)
    assert again.reasons() == []


def test_who_stands_before_the_box_lifts_also_what_was_muted_from_afar(tmp_path: Path) -> None:
    wish = MuteState(tmp_path)
    wish.set_remote(True)
    wish.set_local(False)
    assert wish.reasons() == []


def test_a_link_in_place_of_a_request_leads_nowhere(tmp_path: Path) -> None:
    """`roomtone mute` makes it as root, in a folder of the ear's."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    (state / "muted-device").symlink_to(elsewhere)
    MuteState(state).set_local(True)
    assert not elsewhere.exists()
    MuteState(state).set_local(False)
    MuteState(state).set_local(True)
    assert (state / "muted-device").is_file()


def test_root_reads_no_more_than_a_state_from_the_ears_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("muted")
    mic = tmp_path / "mic"
    mic.symlink_to(tmp_path / "secret")
    assert read_mic_state(tmp_path) is None
    mic.unlink()
    os.mkfifo(mic)
    assert read_mic_state(tmp_path) is None
    mic.unlink()
    for text in ("\x1b]0;owned\x07", "muted\n", "muted" * 10_000, ""):
        mic.write_text(text)
        assert read_mic_state(tmp_path) is None, text[:20]
    mic.write_text("muted")
    assert read_mic_state(tmp_path) == "muted"


@pytest.mark.parametrize(
    ("span", "moment", "quiet"),
    [
        ("22:00-07:00", at(21, 59), False),
        ("22:00-07:00", at(22), True),
        ("22:00-07:00", at(3), True),
        ("22:00-07:00", at(7), False),
        ("12:00-13:30", at(13, 29), True),
        ("12:00-13:30", at(13, 30), False),
        ("00:00-00:00", at(15), True),
    ],
)
def test_quiet_hours_close_the_microphone(tmp_path: Path, span: str, moment: datetime, quiet: bool) -> None:
    assert MuteState(tmp_path, [span], lambda: moment).reasons() == (["quiet hours"] if quiet else [])


@pytest.mark.parametrize("span", ["22-7", "24:00-07:00", "22:00", "22:00-07:60", "evening"])
def test_what_is_no_span_of_hours_is_refused_with_an_example(span: str) -> None:
    with pytest.raises(ConfigError, match="22:00-07:00"):
        load(overrides={"audio.quiet_hours": [span]})


def test_without_pins_there_is_no_panel(tmp_path: Path) -> None:
    assert isinstance(attach(Button(), MuteState(tmp_path)), NoPanel)


@pytest.mark.parametrize("verb", ["mute", "unmute"])
def test_without_the_folder_of_an_ear_there_is_nothing_to_mute_or_unmute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    place = tmp_path / "absent"
    assert main([verb, "--set", f"runtime.ear_state_dir={place}"]) == 2
    said = capsys.readouterr()
    assert (said.out, f"{place}: no such folder" in said.err) == ("", True)


def test_the_button_mutes_and_unmutes_and_the_light_follows(tmp_path: Path) -> None:
    gpiozero = pytest.importorskip("gpiozero")
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    gpiozero.Device.pin_factory = factory
    wish = MuteState(tmp_path)
    try:
        panel = attach(Button(pin=17, led=27), wish)
        assert isinstance(panel, GpioPanel)
        panel.light(True)
        assert factory.pin(27).state == 1
        for wishes in (["muted at the device"], []):
            factory.pin(17).drive_low()
            deadline = buttons.BOUNCE_S * 3
            factory.pin(17).drive_high()
            import time

            time.sleep(deadline)
            assert wish.reasons() == wishes
        panel.close()
    finally:
        gpiozero.Device.pin_factory = None


def test_pins_that_cannot_be_had_are_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpiozero = pytest.importorskip("gpiozero")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    with pytest.raises(UserError, match="the pins cannot be used"):
        attach(Button(pin=17), MuteState(tmp_path))


def test_a_mute_from_afar_holds_even_where_the_disk_takes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wish = MuteState(tmp_path / "missing")
    wish.set_remote(True)
    assert wish.reasons() == ["muted remotely"]
    assert codes(caplog) == ["mute_not_saved"]
    wish.set_remote(False)
    assert wish.reasons() == []
