"""From the first install to the last trace: interrupted, upgraded, badly upgraded, taken away.

One Debian 12, and the tests of this file one after another on it. The installer is the unchanged one; what differs
between the versions is the source it comes with.
"""

from __future__ import annotations

import contextlib
import glob
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machines.device import BACK_S, Box, booted
from tests.support.waiting import seconds_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

EAR, LINK = "roomtone-ear.service", "roomtone-link.service"
VERSIONS = "/opt/roomtone/versions/*"
STEPS = {
    "Debian packages are unpacked": "/usr/lib/python3/dist-packages/pyaudio",
    "users are to be made": "/etc/sysusers.d/roomtone.conf",
    "the environment is there": f"{VERSIONS}/bin/python",
    "some packages are in it": f"{VERSIONS}/lib/python3*/site-packages/msgspec",
    "the program is in it": f"{VERSIONS}/bin/roomtone",
    "it is to be tried": f"{VERSIONS}/.complete",
    "the configuration is written": "/etc/roomtone/roomtone.toml",
    "the first unit is written": "/etc/systemd/system/roomtone-link.socket",
    "it is switched over": "/opt/roomtone/current",
    "the services start": "/run/roomtone/link.sock",
}
"""At which moment the installer is killed: when this appears for the first time."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with booted("bookworm", tmp_path_factory.mktemp("lifecycle")) as box:
        yield box


def there(box: Box, pattern: str) -> bool:
    # Unlike Path.glob this also sees a link that leads nowhere out here.
    return bool(glob.glob(f"{box.outside('/')}{pattern}"))  # noqa: PTH207


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.replace(" ", "-"))
def test_killed_when(box: Box, step: str) -> None:
    """One kill a step, and the next run goes on from what that leaves."""
    # Where the kill before came late, this moment is made anew: the installer also repairs.
    box.container.run(f"rm -rf {STEPS[step]}")
    assert not there(box, STEPS[step])
    box.container.run(f"systemd-run -q --unit=install --collect -p KillMode=control-group {box.installer}")
    seconds_until(lambda: there(box, STEPS[step]), 300.0, step)
    box.container.run("systemctl kill -s KILL install.service")
    seconds_until(
        lambda: (
            box.container.run("systemctl is-active install.service", check=False).strip()
            in {"inactive", "failed"}
        ),
        10.0,
        "the installer is dead",
    )
    assert not there(box, "/opt/roomtone/running"), "it has come to its end"


def test_after_all_that_it_installs(box: Box) -> None:
    assert "0 failed" in box.install()
    box.speak_until_heard(30.0)


def test_without_a_microphone_it_says_so_and_does_not_wait_for_speech(box: Box) -> None:
    box.microphone.kill()
    try:
        said = box.install("--wait 600", check=False)
    finally:
        box.microphone.start()
    assert "there is nothing to hear with: microphone: lost (" in said
    assert "nothing was heard" not in said
    assert "please speak" not in said
    box.speak_until_heard(30.0)


def other_version(box: Box, name: str, edits: dict[str, tuple[str, str]]) -> str:
    """A folder like the one that was installed from, with another number and some lines changed. Its path inside."""
    place = box.outside(f"/srv/{name}")
    shutil.copytree(box.outside("/mnt/roomtone"), place)
    (wheel,) = (place / "offline/wheels").glob("roomtone-*.whl")
    was = wheel.name.split("-")[1]
    edits = {"edge/util/version.py": (f'"{was}"', f'"{name}"'), **edits}
    with zipfile.ZipFile(wheel) as file:
        files = {info.filename: file.read(info).decode("latin-1") for info in file.infolist()}
    wheel.unlink()
    for path, (old, new) in edits.items():
        assert old in files[path]
        files[path] = files[path].replace(old, new)
    metadata = f"roomtone-{was}.dist-info/METADATA"
    files[metadata] = files[metadata].replace(f"\nVersion: {was}\n", f"\nVersion: {name}\n")
    with zipfile.ZipFile(wheel.with_name(wheel.name.replace(was, name)), "w") as file:
        for path, text in files.items():
            file.writestr(path.replace(f"-{was}.dist-info", f"-{name}.dist-info"), text.encode("latin-1"))
    return f"/srv/{name}/provisioning/install.sh --wait 0"


def current(box: Box) -> str:
    return box.container.run("readlink /opt/roomtone/current").strip()


def test_an_upgrade_keeps_configuration_and_state(box: Box) -> None:
    box.container.run("echo '# a word of the owner' >> /etc/roomtone/roomtone.toml")
    box.container.run(
        f"mkdir -p /etc/systemd/system/{EAR}.d && printf '[Service]\\nNice=3\\n' > /etc/systemd/system/{EAR}.d/own.conf"
    )
    box.container.run("roomtone mute")
    before = box.container.run("cat /etc/roomtone/roomtone.toml")
    files = set(box.container.run("cd /var/lib/roomtone && find . -type f").split())
    old = current(box)
    assert any("ear/" in file for file in files)
    said = box.container.run(other_version(box, "9.9.1", {}))
    assert "0 failed" in said
    assert current(box) != old
    assert Path(current(box)).name.startswith("9.9.1-")
    assert box.container.run("cat /etc/roomtone/roomtone.toml") == before
    assert box.container.show(EAR, "Nice") == "3"
    assert files <= set(box.container.run("cd /var/lib/roomtone && find . -type f").split())
    assert "muted" in box.container.show(EAR, "StatusText")
    seconds_until(
        lambda: json.loads(box.heard.last("info"))["version"] == "9.9.1", 10.0, "the new version is told"
    )
    box.container.run("roomtone unmute")
    box.speak_until_heard(BACK_S)


def test_a_version_that_does_not_work_is_not_started(box: Box) -> None:
    old, pids = current(box), (box.container.pid(EAR), box.container.pid(LINK))
    broken = other_version(
        box,
        "9.9.2",
        {"edge/inference/bundle.py": ("from __future__", "raise ImportError('broken')\nfrom __future__")},
    )
    said = box.container.run(broken, check=False)
    assert "what ran before still runs" in said
    assert current(box) == old
    assert (box.container.pid(EAR), box.container.pid(LINK)) == pids
    box.speak_until_heard(BACK_S)


def test_a_version_whose_ear_does_not_come_up_is_taken_back(box: Box) -> None:
    old = current(box)
    broken = other_version(
        box, "9.9.3", {"edge/ear/process.py": ("self._uplink.start()", "raise RuntimeError('broken')")}
    )
    said = box.container.run(broken, check=False)
    assert f"going back to {old}" in said
    assert f"{old} runs again" in said
    assert current(box) == old
    box.speak_until_heard(BACK_S)
    # And the good one goes on from there.
    assert "nothing had to be changed" in box.container.run("/srv/9.9.1/provisioning/install.sh --wait 0")


def old_configuration(box: Box) -> str:
    """The present configuration as a version before the second edition had it."""
    text = box.container.run("cat /etc/roomtone/roomtone.toml")
    text = text.replace("[baseline]", "[room]").replace("#enabled = true", "adapt = false")
    return re.sub(r"(?m)^#validation_socket = .*$", 'gate_socket = "/run/roomtone/gate.sock"', text)


def test_a_configuration_with_the_keys_of_an_earlier_version_ends_in_a_working_device(box: Box) -> None:
    config = box.outside("/etc/roomtone/roomtone.toml")
    old = old_configuration(box)
    assert "\nadapt = false" in old
    config.write_text(old)
    said = box.container.run(other_version(box, "9.9.4", {}))
    assert "0 failed" in said
    assert "`room.adapt` to `baseline.enabled`" in said
    assert "a word of the owner" in config.read_text()
    copies = list(config.parent.glob("roomtone.toml.before-*"))
    assert [copy.read_text() for copy in copies] == [old]
    box.speak_until_heard(BACK_S)


def test_going_back_from_a_version_gives_the_old_configuration_back(box: Box) -> None:
    config = box.outside("/etc/roomtone/roomtone.toml")
    good, old = current(box), old_configuration(box)
    config.write_text(old)
    broken = other_version(
        box, "9.9.5", {"edge/ear/process.py": ("self._uplink.start()", "raise RuntimeError('broken')")}
    )
    box.container.run(broken, check=False)
    assert current(box) == good
    assert config.read_text() == old
    assert "0 failed" in box.container.run("/srv/9.9.4/provisioning/install.sh --wait 0")
    box.speak_until_heard(BACK_S)


def test_uninstalled_it_keeps_what_is_asked_to_keep(box: Box) -> None:
    before = box.container.run("cat /etc/roomtone/roomtone.toml")
    assert "were kept" in box.container.run("/srv/9.9.1/provisioning/uninstall.sh")  # nobody answers: no
    assert box.container.show(EAR, "LoadState") == "not-found"
    assert not there(box, "/opt/roomtone")
    assert box.container.run("cat /etc/roomtone/roomtone.toml") == before
    assert "0 failed" in box.container.run("/srv/9.9.1/provisioning/install.sh --wait 0")
    box.speak_until_heard(BACK_S)


def test_purged_it_leaves_no_trace_on_the_box_and_at_the_broker(box: Box) -> None:
    assert "Roomtone was removed" in box.container.run("/srv/9.9.1/provisioning/uninstall.sh --purge")
    left = box.container.run(
        "find / -xdev \\( -path /mnt -o -path /srv -o -path /proc -o -path /run -o -path /var/log \\) -prune "
        "-o -iname '*roomtone*' -print; ls -d /run/roomtone* 2>/dev/null; getent passwd roomtone-ear roomtone-link",
        check=False,
    )
    assert left.replace("/run/roomtone-sound\n", "") == ""
    assert "not-found" in box.container.show(EAR, "LoadState")
    newcomer = type(box.heard)(box.broker)
    time.sleep(1.0)
    with contextlib.closing(newcomer):
        retained = [topic for _, topic, payload in newcomer.messages if payload]
    assert retained == []
