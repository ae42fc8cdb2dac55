"""Who holds the device, read from a tree like that of the kernel (ALSA of Linux 6.1 with PulseAudio and PipeWire)."""

import os
from pathlib import Path

import pytest

from edge.ear.capture.device_holder import DeviceHolder, explain, holders

RUNNING = """state: RUNNING
owner_pid   : {thread}
trigger_time: 11806.513
tstamp      : 0.000000000
delay       : 1152
avail       : 1152
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for card, name in enumerate(("PCH", "Device")):
        folder = tmp_path / f"asound/card{card}"
        for stream in ("pcm0p", "pcm0c"):
            (folder / stream / "sub0").mkdir(parents=True)
            (folder / stream / "sub0/status").write_text("closed\n")
        (folder / "id").write_text(f"{name}\n")
    return tmp_path


def opened(proc: Path, stream: str, thread: int, process: int, program: str) -> None:
    (proc / "asound" / stream / "sub0/status").write_text(RUNNING.format(thread=thread))
    for number in (thread, process):
        (proc / str(number)).mkdir(exist_ok=True)
        (proc / str(number) / "status").write_text(f"Name:\tx\nTgid:\t{process}\nPid:\t{number}\n")
        (proc / str(number) / "comm").write_text("alsa-source-USB\n")
    (proc / str(process) / "comm").write_text(f"{program}\n")


def test_where_nobody_records_nobody_is_named(proc: Path) -> None:
    opened(proc, "card1/pcm0p", 900, 900, "mpv")  # who plays does not record
    assert holders(proc) == []
    assert explain("no microphone is connected", proc) == "no microphone is connected"
    assert holders(proc / "nothing") == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "pulseaudio",
            "PulseAudio (process 812) holds Device and has to release it: docs/device.md, The microphone",
        ),
        (
            "pipewire",
            "PipeWire (process 812) holds Device and has to release it: docs/device.md, The microphone",
        ),
        (
            "wireplumber",
            "PipeWire (process 812) holds Device and has to release it: docs/device.md, The microphone",
        ),
        ("arecord", "arecord (process 812) holds Device: end it"),
    ],
)
def test_the_program_is_named_and_not_its_thread(proc: Path, program: str, words: str) -> None:
    opened(proc, "card1/pcm0c", 830, 812, program)
    assert explain("no microphone is connected", proc) == f"no microphone is connected; {words}"


def test_a_program_that_is_hidden_is_told_by_its_number(proc: Path) -> None:
    (proc / "asound/card0/pcm0c/sub0/status").write_text(RUNNING.format(thread=77))
    assert holders(proc) == [DeviceHolder("PCH", 77, "")]
    assert "process 77 holds PCH" in explain("x", proc)


def test_what_we_hold_ourselves_is_no_obstacle(proc: Path) -> None:
    opened(proc, "card0/pcm0c", os.getpid() + 1, os.getpid(), "roomtone")
    assert holders(proc) == []
