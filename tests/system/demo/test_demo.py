"""The demo as its user meets it: one command, events as lines, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge.protocol import LABELS, UNCERTAIN
from tests.conftest import SPEECH
from tests.support.waiting import until

ROOMTONE = [sys.executable, "-m", "edge.cli.main"]
# Three rooms, a broker and a page on two busy cores; a Pi is not faster.
PATIENCE_S = 150


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short name: pytest's own, with a worker's in it, is too long for the sockets of a room."""
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # where root runs it, the broker is another user
        yield Path(folder)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with two recordings of human speech."""
    folder = tmp_path / "Living Room"
    folder.mkdir()
    for clip in sorted(SPEECH.glob("cards/*.wav"))[:2]:
        (folder / clip.name).symlink_to(clip)
    return folder


def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary files go where the test can see what is left."""
    scratch = tmp_path / "tmp"
    scratch.mkdir(exist_ok=True)
    return os.environ | {"TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}


def started(tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ROOMTONE, "demo", "--json", "--port", "0", "--mqtt-port", "0", *options],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(tmp_path: Path) -> list[str]:
    """Command lines of all processes that were started with this test's folder for temporary files."""
    mark = f"TMPDIR={tmp_path / 'tmp'}".encode()
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (proc / "environ").read_bytes():
                found.append((proc / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def left_behind(tmp_path: Path) -> list[str]:
    return [str(p) for p in (tmp_path / "tmp").rglob("*")]


@pytest.mark.parametrize("broker", [[], ["--embedded-broker"]], ids=["mosquitto", "from PyPI"])
def test_speech_comes_back_from_the_broker_as_events(tmp_path: Path, room: Path, broker: list[str]) -> None:
    demo = started(tmp_path, "--playback", str(room), "--seconds", "12", *broker)
    out, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, err
    *lines, last = [json.loads(line) for line in out.splitlines()]
    summary = last["summary"]
    assert summary["events"] == len(lines) >= 2
    assert (summary["missing"], summary["malformed"], summary["restarts"]) == (0, 0, 0), err
    for line in lines:
        assert line["node"] == "living-room"
        assert line["event"]["event_type"] in (*LABELS, UNCERTAIN)
        assert 300 <= line["event"]["duration_ms"] <= 4000
    assert "http://127.0.0.1:" in err
    # rumqttd closes a connection that asks for the broker's figures: the page lives without them.
    assert "WARNING" not in err
    assert processes_of(tmp_path) == []
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_nothing_is_left(tmp_path: Path, room: Path, number: signal.Signals) -> None:
    demo = started(tmp_path, "--playback", str(room))
    assert demo.stdout is not None
    assert json.loads(demo.stdout.readline())["node"] == "living-room"
    demo.send_signal(number)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 0, err
    assert "Traceback" not in err
    assert processes_of(tmp_path) == []
    assert left_behind(tmp_path) == []


def test_killed_it_takes_its_children_along(tmp_path: Path, room: Path) -> None:
    demo = started(tmp_path, "--playback", str(room))
    assert demo.stdout is not None
    demo.stdout.readline()
    demo.kill()
    demo.wait()
    # The simulated month would end by itself, some seconds later: the kernel ends it at once.
    until(lambda: not any("simulate" in command for command in processes_of(tmp_path)), 2)
    deadline = time.monotonic() + 20
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(tmp_path) == []


def test_an_ear_that_dies_is_started_again_and_hears_on(tmp_path: Path, room: Path) -> None:
    demo = started(tmp_path, "--playback", str(room), "--seconds", "25")
    assert demo.stdout is not None
    first = json.loads(demo.stdout.readline())["event"]
    ears = [int(proc.name) for proc in Path("/proc").glob("[0-9]*") if _is_ear_of(proc, str(tmp_path))]
    assert len(ears) == 1
    os.kill(ears[0], signal.SIGKILL)
    out, err = demo.communicate(timeout=PATIENCE_S)
    *lines, last = [json.loads(line) for line in out.splitlines()]
    assert last["summary"]["restarts"] == 1, err
    # The other ear goes on in the same boot: what the first one had not sent would be a gap.
    assert {line["event"]["boot"] for line in lines} == {first["boot"]}
    assert max(line["event"]["seq"] for line in lines) > first["seq"] + 1
    assert demo.returncode == 0, err


def _is_ear_of(proc: Path, folder: str) -> bool:
    try:
        words = (proc / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return "ear" in words and any(word.startswith(folder) for word in words)


def test_a_room_where_nobody_speaks_gives_no_event_and_status_1(tmp_path: Path) -> None:
    folder = tmp_path / "cellar"
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 300, 5 * 16_000).astype(np.int16)
    soundfile.write(folder / "noise.wav", noise, 16_000)
    demo = started(tmp_path, "--playback", str(folder), "--seconds", "6")
    out, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 1, err
    assert json.loads(out)["summary"]["events"] == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--playback", "/nowhere"], "no such folder"),
        (["--playback", "{empty}"], "no audio files"),
        (["--playback", "{text}"], "none of the 1 recordings"),
        (["--port", "99999"], "99999"),
        (["--mqtt-port", "-1"], "65535"),
        (["--seconds", "x"], "'x'"),
        (["--speed", "0"], "--speed"),
        (["--model", "nosuch"], "nosuch"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, options: list[str], word: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "words.wav").write_text("not sound")
    places = {"empty": tmp_path / "empty", "text": tmp_path / "text"}
    demo = started(tmp_path, *(o.format(**places) for o in options))
    _, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 2
    assert word in err.splitlines()[-1]
    assert "Traceback" not in err
    assert processes_of(tmp_path) == []
    assert left_behind(tmp_path) == []


def test_without_a_microphone_it_says_so_and_ends_when_told(tmp_path: Path) -> None:
    demo = started(tmp_path, "--mic", "no such microphone", "--seconds", "60")
    assert demo.stderr is not None
    lines = []
    for line in demo.stderr:
        lines.append(line)
        if "Page" in line:
            break
    demo.send_signal(signal.SIGINT)
    _, rest = demo.communicate(timeout=30)
    assert sum("the microphone is lost: no microphone" in line for line in lines) == 1, lines
    assert not any("[microphone_lost]" in line for line in lines), lines
    assert demo.returncode == 1
    assert "Traceback" not in rest
    assert processes_of(tmp_path) == []
    assert left_behind(tmp_path) == []


def test_a_signal_while_it_starts_ends_it(tmp_path: Path, room: Path) -> None:
    demo = started(tmp_path, "--playback", str(room))
    assert demo.stderr is not None
    assert "Broker" in demo.stderr.readline()
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 0, err
    assert "Traceback" not in err
    assert processes_of(tmp_path) == []
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(600)
def test_the_pages_about_the_past_and_about_alerts_are_not_empty(tmp_path: Path, room: Path) -> None:
    demo = started(tmp_path, "--playback", str(room), "--seconds", "300")
    assert demo.stderr is not None
    page = next(line for line in demo.stderr if "http://" in line).split()[-1]
    address, _, token = page.partition("?token=")

    def answer(path: str) -> Any:
        # The hub limits how often it is asked.
        time.sleep(0.5)
        request = urllib.request.Request(f"{address}api/{path}", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            # The recorder makes the tables.
            assert error.code in (429, 503), error.read()
            time.sleep(1.0)
            return []

    try:
        until(lambda: answer("rules"), 90)
        until(lambda: any(known["node"].startswith("sim-") for known in answer("rooms")), 90)
        simulated = next(known["node"] for known in answer("rooms") if known["node"].startswith("sim-"))
        oldest = answer(f"rooms/{simulated}/events?limit=1")["events"][0]["started_at"]
        assert datetime.now(UTC) - datetime.fromisoformat(oldest) > timedelta(days=20)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert processes_of(tmp_path) == []
