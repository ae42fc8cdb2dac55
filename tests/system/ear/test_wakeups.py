"""How often the ear wakes up in silence: what a wake-up costs depends on the machine, how many there are does not."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.ear import Ear, playback

soundfile = pytest.importorskip("soundfile")
SECONDS = 4.0


def wakeups(pid: int) -> int:
    """How often the threads of a process have waited for something so far."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return found


def test_in_silence_it_wakes_up_a_few_times_a_second(tmp_path: Path, ears: list[Ear]) -> None:
    room = tmp_path / "quiet"
    room.mkdir()
    noise = np.random.default_rng(1).normal(0, 20, 30 * 16_000).astype(np.int16)
    soundfile.write(room / "quiet.wav", noise, 16_000)
    ear = Ear(tmp_path, playback(room))
    ears.append(ear)
    ear.wait_for_line("ready after")
    time.sleep(2.0)  # what is done once after the start
    before, begun = wakeups(ear.process.pid), time.monotonic()
    time.sleep(SECONDS)
    # A read for each eight blocks of 32 ms, a round of the main loop for each sixteen; one for every block would be 60.
    assert (wakeups(ear.process.pid) - before) / (time.monotonic() - begun) < 25
