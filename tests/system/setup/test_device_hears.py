"""The end of the installer of a device: it waits where speech can be heard, and only there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOST = "microphone: lost (no microphone is connected; plug one in), 0 utterances"


def wait_for_speech(folder: Path, *states: str) -> tuple[int, str]:
    """Status and messages of the function in `install.sh`, with these states of the ear, one after another."""
    script = (ROOT / "provisioning" / "install.sh").read_text(encoding="utf-8")
    found = [
        re.search(rf"^{name}\(\) \{{(.*\}}.*$|\n(?s:.*?)^\}}$)", script, re.MULTILINE)
        for name in ("say", "die", "status", "heard", "still", "wait_for_speech")
    ]
    functions = "\n".join(match[0] for match in found if match is not None)
    assert len(found) == functions.count("() {")
    (folder / "states").write_text("".join(f"{state}\n" for state in states))
    systemctl = folder / "systemctl"
    systemctl.write_text(
        f"#!/bin/bash\ncd {folder}; head -n 1 states; [ $(wc -l <states) -eq 1 ] || sed -i 1d states\n"
    )
    systemctl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{functions}\nwait_for_speech 30"],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_without_a_microphone_it_says_so_and_what_to_do_and_does_not_wait(tmp_path: Path) -> None:
    status, said = wait_for_speech(tmp_path, "microphone: starting, 0 utterances", LOST)
    assert status == 1
    assert "no microphone is connected; plug one in" in said
    assert "nothing was heard" not in said


def test_a_microphone_that_comes_within_seconds_is_waited_for(tmp_path: Path) -> None:
    status, said = wait_for_speech(
        tmp_path, LOST, LOST, "microphone: ok, 0 utterances", "microphone: ok, 2 utterances"
    )
    assert (status, "it hears: 2 utterances" in said) == (0, True)


@pytest.mark.parametrize("count", [0, 3])
def test_a_muted_device_is_no_failure(tmp_path: Path, count: int) -> None:
    status, said = wait_for_speech(tmp_path, f"microphone: muted, {count} utterances")
    assert status == 0
    assert "please speak" not in said
    assert ("muted" in said) == (count == 0)
