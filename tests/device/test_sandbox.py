"""Proofs of privacy on the installed units: what their sandbox forbids fails there, and succeeds without the directive.

A drop-in starts a probe in place of the program, everything else of the unit stays as it is installed. The control is
the same probe with a second drop-in that takes the directive away. What this container does not enforce
(`DeviceAllow=`, `IPAddressDeny=`, `MemoryMax=`) is proved in a virtual machine: test_vm.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest

from edge import protocol
from edge.audio import files as audiofile
from edge.protocol import InfoReport
from tests.conftest import SPEECH
from tests.device.sandbox import EAR, LINK, bring_probe, probe, start_in_place
from tests.support.audio.search import Search
from tests.support.machines.device import BACK_S, VOICE, Box, booted
from tests.support.messages import EAR_INFO, utterance
from tests.support.waiting import seconds_until, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

SPEECH_S = float(os.environ.get("ROOMTONE_SPEECH_S", "600"))
"""So long somebody speaks before every file is searched for sound: ten minutes."""
OPEN = ("/srv/open", "/var/lib/open", "/home/open", "/opt/open", "/etc/open", "/dev/shm", "/dev/mqueue")
"""Folders in which anybody may write, if it were not for the sandbox."""

SERVER = """
import os, socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(8)
os.chmod(sys.argv[1], 0o666)
time.sleep(600)
"""
"""What a sound server is to whoever tries its door."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with booted("bookworm", tmp_path_factory.mktemp("sandbox")) as box:
        bring_probe(box.container)
        box.container.run(f"mkdir -p {' '.join(OPEN)} && chmod 1777 {' '.join(OPEN)}")
        box.install()
        yield box


def test_inside_the_ear_no_socket_can_be_made_but_unix(box: Box) -> None:
    tcp = f"tcp={box.broker.port}"
    found = probe(box.container, EAR, "sockets=", tcp)
    assert set(found["sockets="].values()) == {"Address family not supported by protocol"}
    assert found[tcp] != "ok"
    # Each of the two walls stands alone.
    walled = probe(box.container, EAR, "sockets=", tcp, without="RestrictAddressFamilies=")
    assert walled["sockets="]["inet"] == "ok"
    assert walled[tcp] in {"Network is unreachable", "Connection refused"}  # its own loopback is another one
    assert probe(box.container, EAR, tcp, without="PrivateNetwork=no")[tcp] != "ok"
    # The control: without both it reaches the broker.
    assert probe(box.container, EAR, tcp, without="RestrictAddressFamilies=\nPrivateNetwork=no")[tcp] == "ok"


def test_the_ear_writes_only_into_its_own_folders(box: Box) -> None:
    wishes = [
        f"write={folder}" for folder in (*OPEN, "/", "/run", "/run/roomtone", "/run/roomtone-sound", "/proc")
    ]
    wishes += ["write=/var/lib/roomtone/ear", "write=/tmp", "write=/var/tmp"]
    own = ["write=/run/roomtone/ear", "write=/run/roomtone/ear/state"]
    found = probe(box.container, EAR, *wishes, *own)
    assert {wish: found[wish] for wish in wishes if found[wish] == "ok"} == {}
    assert {found[wish] for wish in own} == {"ok"}
    free = probe(
        box.container,
        EAR,
        *wishes,
        without="ProtectSystem=no\nProtectHome=no\nTemporaryFileSystem=\nInaccessiblePaths=\nPrivateIPC=no",
    )
    assert [wish for wish in wishes[: len(OPEN) - 1] if free[wish] != "ok"] == []


def test_what_the_ear_can_write_has_a_size(box: Box) -> None:
    own = "fill=/run/roomtone/ear"
    assert 0 < probe(box.container, EAR, own)[own] <= 256
    # The control: the same bytes, in a folder without a size.
    free = "fill=/srv/open"
    assert probe(box.container, EAR, free, without="ProtectSystem=no")[free] == 8192


def test_only_small_files_of_known_names_go_from_the_ear_to_the_disk(box: Box) -> None:
    state, saved = "/run/roomtone/ear/state", "/var/lib/roomtone/ear"
    run = box.container.run
    run(f"systemctl stop {EAR}")
    run(f"head -c 3000 /dev/urandom > {state}/link.baseline.json; head -c 3000 /dev/urandom > {state}/sound")
    run(f"ln -s /etc/shadow {state}/muted-remote; mkfifo {state}/link.tries.json; touch {state}/muted-device")
    seconds_until(lambda: box.outside(f"{saved}/muted-device").exists(), 20.0, "the mute is saved")
    assert run(f"ls {saved}").split() == ["muted-device"]
    assert run(f"stat -c %s {saved}/muted-device").strip() == "0"
    run(f"rm {state}/*")
    seconds_until(
        lambda: not box.outside(f"{saved}/muted-device").exists(), 30.0, "the end of the mute is saved"
    )
    run(f"systemctl start {EAR}")
    box.speak_until_heard(BACK_S)


def journals(box: Box, namespace: str = "") -> int:
    """Bytes of the journals, of the system's or of a namespace."""
    box.container.run(f"journalctl {namespace} --sync")
    folders = "*.roomtone-ear" if namespace else "[0-9a-f]*[0-9a-f]"
    found = box.container.run(f"du -sbc /var/log/journal/{folders} /run/log/journal/{folders}", check=False)
    return int(found.splitlines()[-1].split()[0])


def test_the_log_of_the_ear_has_a_size_and_is_in_memory(box: Box) -> None:
    before = journals(box)
    start_in_place(box.container, EAR, "shout=16", logs="")
    assert journals(box) - before < 1 << 20
    # systemd makes the folder of every namespace, and a volatile journal leaves it empty.
    assert box.container.run("find /var/log/journal/*.roomtone-ear -type f", check=False) == ""
    assert journals(box, "--namespace=roomtone-ear") <= 4 << 20
    # The control: the same bytes without the two lines.
    before = journals(box)
    start_in_place(box.container, EAR, "shout=16")
    assert journals(box) - before > 8 << 20


def test_the_ear_has_no_standard_output(box: Box) -> None:
    def said() -> int:
        return box.container.run("journalctl --namespace=roomtone-ear -o cat").count("PROBE {")

    before = said()
    start_in_place(box.container, EAR, "read=/etc/hostname", logs="")
    assert said() == before
    # The control.
    start_in_place(box.container, EAR, "read=/etc/hostname", logs="StandardOutput=journal")
    seconds_until(lambda: said() == before + 1, 20.0, "what the probe says is in the log of the ear")


def test_the_link_reaches_no_sound_device_and_no_sound_server(box: Box) -> None:
    box.container.run("mkdir -p /dev/snd && mknod -m 666 /dev/snd/pcmC0D0c c 1 3")
    box.container.run("mkdir -p /run/user/1000/pulse /run/pipewire /run/pulse && chmod 755 /run/user/1000")
    doors = ["/run/roomtone-sound/native"]
    for folder in ("/run/user/1000/pulse", "/run/pipewire", "/run/pulse"):
        doors.append(f"{folder}/native")
        box.container.run(
            f"systemd-run -q --collect /usr/bin/python3 -c {shlex.quote(SERVER)} {folder}/native"
        )
    seconds_until(lambda: all(box.outside(door).exists() for door in doors), 5.0, "the doors are open")
    wishes = ["read=/dev/snd/pcmC0D0c", *(f"unix={door}" for door in doors)]
    found = probe(box.container, LINK, *wishes)
    assert {wish: found[wish] for wish in wishes if found[wish] == "ok"} == {}
    free = probe(
        box.container,
        LINK,
        *wishes,
        without="RootDirectory=\nPrivateDevices=no\nInaccessiblePaths=\nProtectHome=no",
    )
    assert {wish: free[wish] for wish in wishes if free[wish] != "ok"} == {}
    # What wishes to reach it is the same user: no group, no way.
    assert "audio" not in box.container.run("id -Gn roomtone-link").split()


def test_what_breaks_the_contract_is_rejected_and_counted(box: Box) -> None:
    hello = protocol.encode(InfoReport(EAR_INFO, "0123456789abcdef", 1)).decode()
    good = protocol.encode(utterance(1)).decode()
    bad = [
        good[:-1] + " " * 1024 + "}",
        good.replace('"n":1', '"n":1,"pcm":"AAAA"'),
        re.sub(r'"snr_db":[0-9.]+', '"snr_db":NaN', good),
        re.sub(r'"snr_db":[0-9.]+', '"snr_db":1e999', good),
        re.sub(r'"snr_db":[0-9.]+', '"snr_db":17.5', good),
        re.sub(r'"event_type":"[a-z]+"', '"event_type":"whisper"', good),
        json.dumps({"t": "pcm", "data": base64.b64encode(b"\0" * 64).decode()}),
    ]
    assert all(message != good for message in bad)
    before = rejected(box)
    box.heard.forget_events()
    box.outside("/usr/local/lib/protocol.json").write_text(json.dumps([hello, *bad, good]))
    found = probe(box.container, EAR, "send=/usr/local/lib/protocol.json")
    assert '"ack"' in str(found["send=/usr/local/lib/protocol.json"])
    # The control: the good one, sent in the same way, is at the broker, and nothing else is.
    told = box.heard.events.get(timeout=5)
    assert (told.event_type, told.snr_db) == ("happy", 18)
    assert box.heard.events.empty()
    assert rejected(box) - before == len(bad)


def rejected(box: Box) -> int:
    """By the link's own count, published once a minute; what was counted before the last one is in it."""
    asked = time.monotonic()
    seconds_until(
        lambda: any(t.endswith("/health") and at > asked for at, t, _ in box.heard.messages), 70.0, "a health"
    )
    return int(json.loads(box.heard.last("health"))["rejected"])


def test_a_slow_interpreter_is_noticed(box: Box) -> None:
    folder = f"/run/systemd/system/{EAR}.d"
    assert "the self-test takes" not in box.container.run(
        f"journalctl --namespace=roomtone-ear -u {EAR}"
    )  # the control
    box.outside(folder).mkdir(parents=True, exist_ok=True)
    box.outside(f"{folder}/zz-slow.conf").write_text("[Service]\nProcSubset=pid\n")
    try:
        box.container.run(f"systemctl daemon-reload && systemctl restart {EAR}")
        # It is compared once the ear has notified systemd that it is ready.
        journal = f"journalctl --namespace=roomtone-ear -u {EAR} -n 30"
        until(lambda: "/proc/cpuinfo is hidden" in box.container.run(journal), 30)
    finally:
        box.container.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart {EAR}")
    box.speak_until_heard(BACK_S)


def test_no_sound_is_on_the_system_or_at_the_broker_after_speech_nor_after_an_abort(box: Box) -> None:
    voice = audiofile.load(SPEECH / VOICE)
    search = Search(voice)
    box.speak_until_heard(BACK_S)
    # The control of the chain: what the microphone gives is what is searched for.
    assert len(search.find(as_recorded(box))) > 20
    begun = time.time()
    end = time.monotonic() + SPEECH_S
    box.heard.forget_events()
    while time.monotonic() < end:
        box.microphone.play(VOICE)
        time.sleep(0.5)
    assert box.heard.events.qsize() >= SPEECH_S / 10
    places, size = everywhere(box, begun)
    assert size > 10_000
    assert {place: found for place, data in places.items() if (found := search.find(data))} == {}
    # In the middle of speech it is stopped, and the watchdog aborts it.
    pid = box.container.pid(EAR)
    # What a debugger could read belongs to root alone; the control is the link, which holds no sound.
    assert box.container.run(f"stat -c %U /proc/{pid}/mem").strip() == "root", "it is dumpable"
    assert box.container.run(f"stat -c %U /proc/{box.container.pid(LINK)}/mem").strip() == "roomtone-link"
    assert re.search(r"Max core file size\s+0\s+0", box.container.run(f"cat /proc/{pid}/limits"))
    begun = time.time()
    box.microphone.play(VOICE, wait=False)
    time.sleep(1.0)
    box.container.run(f"kill -STOP {pid}")
    seconds_until(lambda: box.container.pid(EAR) not in {0, pid}, 20.0, "the watchdog")
    assert "status=6/ABRT" in box.container.run(f"journalctl -u {EAR} -n 30 --no-pager")
    # The control: another process of the box that aborts does leave a core, with what was in its memory.
    box.container.run("mkdir -p /srv/core && chmod 777 /srv/core")
    box.outside("/srv/core.pcm").write_bytes(voice.tobytes())
    box.container.run(
        "systemd-run -q --wait --collect -p LimitCORE=infinity -p WorkingDirectory=/srv/core /usr/bin/python3 -c "
        "\"import os; sound = open('/srv/core.pcm', 'rb').read(); os.abort()\"", check=False,
    )  # fmt: skip
    box.container.run("rm /srv/core.pcm")
    places, _ = everywhere(box, begun)
    (core,) = (place for place, data in places.items() if search.find(data))
    assert core.startswith("/srv/core/core")


def as_recorded(box: Box) -> bytes:
    """What a program at the virtual microphone gets while somebody speaks."""
    recorder = subprocess.Popen(
        ["parec", "--raw", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=50"],
        env=box.microphone.environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1.0)
    box.microphone.play(VOICE)
    time.sleep(0.5)
    recorder.terminate()
    return recorder.communicate(timeout=10)[0]


def everywhere(box: Box, since: float) -> tuple[dict[str, bytes], int]:
    """Every file of the box that was written since then, also in memory; every byte at the broker; what was logged."""
    box.container.run("journalctl --sync; sync")
    listed = box.container.run(
        f"find / \\( -path /proc -o -path /sys -o -path /mnt -o -path /run/roomtone-sound \\) -prune "
        f"-o -type f -newerct @{since - 1:.0f} -print0"
    )
    files = [name for name in listed.split("\0") if name.startswith("/")]
    places = {name: box.outside(name).read_bytes() for name in files if box.outside(name).exists()}
    places["broker"] = b"\n".join(topic.encode() + b" " + payload for _, topic, payload in box.heard.messages)
    places["log of the broker"] = box.broker.log.encode()
    return places, sum(map(len, places.values()))
