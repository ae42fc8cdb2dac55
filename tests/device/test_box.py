"""The unchanged installer on a booted Debian; speech into a microphone outside; events at a broker outside.

One box for each Debian, and the tests of this file one after another on it: what one leaves is where the next begins.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machines.device import BACK_S, Box, booted
from tests.support.waiting import seconds_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

EAR, LINK = "roomtone-ear.service", "roomtone-link.service"
SUITES = ("bookworm", "trixie")
# What starts it as another user has its name among the arguments, too.
PIP = re.compile(rb"/opt/roomtone/versions/[^\0]*/bin/python[^\0]*\0[^\0]*/bin/pip\0")


@pytest.fixture(scope="module", params=SUITES)
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with booted(request.param, tmp_path_factory.mktemp(request.param)) as box:
        yield box


@contextlib.contextmanager
def users_of_pip(box: Box) -> Iterator[set[str]]:
    """Fill the set with the user ids of all processes that are seen to run pip in the box, while the context lasts."""
    found: set[str] = set()
    ended = threading.Event()

    # Another container on this machine may install something, too.
    inside = Path(f"/proc/{box.container.init}/ns/pid").readlink()

    def watch() -> None:
        while not ended.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if (process / "ns" / "pid").readlink() != inside:
                        continue
                    if PIP.match((process / "cmdline").read_bytes()):
                        found.add(str(process.stat().st_uid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def test_the_installer_leaves_a_box_that_hears(box: Box) -> None:
    with users_of_pip(box) as users:
        said = box.install("--name", "'Küche & Co'")
    # Its users did not exist before.
    build = box.container.run("id -u roomtone-build").strip()
    assert users == {build}, "pip never runs as root"
    owners = box.container.run("find /opt/roomtone ! -user root")
    assert owners == "", "what runs is root's"
    assert "warning: mqtt:// is not encrypted" in said
    assert "NOTICE to put up in the room" in said
    assert "Küche & Co" in said
    assert "0 failed" in said
    assert box.speak_until_heard(30.0) < 30.0
    assert box.heard.last("mic") == "ok"
    mic = json.loads(box.heard.last("info"))["ear"]["mic"]
    # All channels that the sound server offers are opened, and said to be mixed.
    assert (mic["rate_hz"], mic["channels"], mic["used"]) == (16000, 2, "mean")


def test_systemd_has_nothing_to_say_about_the_units(box: Box) -> None:
    said = box.container.run("systemd-analyze verify /etc/systemd/system/roomtone-*.{service,socket}")
    assert said == ""
    for unit, most in ((EAR, 4), (LINK, 9)):
        box.container.run(f"systemd-analyze security --threshold={most} {unit}")


def test_the_installer_waits_for_the_first_utterance_and_says_it(box: Box) -> None:
    said = box.container.run("/mnt/roomtone/provisioning/install.sh --wait 5")
    assert re.search(r"it hears: [1-9]\d* utterances", said)


def everything(box: Box) -> dict[str, tuple[str, float]]:
    """Content and time of change of all that the installer makes."""
    listed = box.container.run(
        "find /opt/roomtone /etc/roomtone /etc/systemd/system /etc/sysusers.d /etc/tmpfiles.d /usr/local/bin "
        "/var/lib/roomtone -path '*/link/*' -prune -o -path '*__pycache__*' -prune -o -printf '%p %T@ %s %m %u %l\\n'"
    )
    return {line.split(" ")[0]: (line, 0.0) for line in listed.splitlines()}


def test_a_second_run_changes_nothing(box: Box) -> None:
    before, pids = everything(box), (box.container.pid(EAR), box.container.pid(LINK))
    said = box.install("--name", "'Küche & Co'")
    assert "nothing had to be changed" in said
    after = everything(box)
    assert {path for path in after if after[path] != before.get(path)} <= {
        "/usr/local/bin",
        "/usr/local/bin/roomtone",
    }
    assert (box.container.pid(EAR), box.container.pid(LINK)) == pids


def test_a_killed_ear_hears_again(box: Box) -> None:
    box.container.run(f"kill -KILL {box.container.pid(EAR)}")
    box.speak_until_heard(BACK_S)


def test_a_stopped_ear_is_ended_by_the_watchdog_and_hears_again(box: Box) -> None:
    pid = box.container.pid(EAR)
    box.container.run(f"kill -STOP {pid}")
    box.speak_until_heard(BACK_S)
    assert box.container.pid(EAR) != pid
    assert "Watchdog timeout" in box.container.run(f"journalctl -u {EAR} --no-pager -n 50")


def test_a_killed_link_tells_again(box: Box) -> None:
    box.container.run(f"kill -KILL {box.container.pid(LINK)}")
    box.speak_until_heard(BACK_S)


def test_a_killed_sound_server_is_found_again(box: Box) -> None:
    box.microphone.kill()
    box.microphone.start()
    box.speak_until_heard(BACK_S)


def test_a_stopped_sound_server_ends_the_ear_and_is_found_again(box: Box) -> None:
    pid = box.container.pid(EAR)
    box.microphone.freeze()
    seconds_until(lambda: box.container.pid(EAR) != pid, 15.0, "the hung ear ends")
    box.microphone.thaw()
    box.speak_until_heard(BACK_S)


def test_a_sound_server_that_was_gone_for_a_minute_is_found_again(box: Box) -> None:
    box.microphone.kill()
    seconds_until(lambda: box.heard.last("mic") == "lost", 15.0, "the loss is said")
    pid = box.container.pid(EAR)
    time.sleep(60)
    assert box.container.pid(EAR) == pid, "a missing microphone is a state, not a crash"
    box.microphone.start()
    box.speak_until_heard(BACK_S)


def test_muted_from_afar_the_microphone_is_closed_also_after_a_restart(box: Box) -> None:
    assert box.heard.command("mute")["ok"]
    seconds_until(lambda: box.heard.last("mic") == "muted", 5.0, "muted")
    assert captures(box) == 0
    killed = box.container.pid(EAR)
    box.container.run(f"kill -KILL {killed}")
    # What it said last stands in its status until the next one is ready.
    seconds_until(lambda: box.container.pid(EAR) not in {0, killed}, 15.0, "another ear")
    seconds_until(lambda: box.container.show(EAR, "ActiveState") == "active", 15.0, "the other ear is ready")
    assert "muted" in box.container.show(EAR, "StatusText")
    time.sleep(2)
    assert captures(box) == 0
    assert box.heard.command("unmute")["ok"]
    box.speak_until_heard(BACK_S)
    assert captures(box) == 1  # the positive control


def test_what_was_muted_at_the_device_is_unmuted_only_there(box: Box) -> None:
    assert "the microphone is closed" in box.container.run("roomtone mute")
    assert captures(box) == 0
    answer = box.heard.command("unmute")
    assert not answer["ok"]
    assert "muted at the device" in str(answer["error"])
    assert box.heard.last("mic") == "muted"
    box.container.run("roomtone unmute")
    box.speak_until_heard(BACK_S)


def captures(box: Box) -> int:
    """How many streams the sound server records for."""
    import subprocess

    done = subprocess.run(
        ["pactl", "list", "short", "source-outputs"],
        env=box.microphone.environment,
        capture_output=True,
        check=True,
    )
    return len(done.stdout.splitlines())


def test_after_a_power_cut_it_hears_again_within_ten_seconds(box: Box) -> None:
    box.container.halt()
    box.container.boot()
    box.speak_until_heard(BACK_S)
