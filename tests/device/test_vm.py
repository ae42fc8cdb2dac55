"""`./run test-vm`: what only a kernel of its own can show: a real ALSA card that is unplugged, and the control groups.

One machine (machine.py), and the tests of this file one after another on it. Somebody speaks in its room all the time:
into one end of ALSA's loopback card, whose other end is the microphone. Without KVM times say little.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.device.sandbox import EAR, LINK, bring_probe, probe, put, start_in_place
from tests.support.broker import Broker
from tests.support.machines import virtual_machine as machines
from tests.support.machines.device import Subscriber
from tests.support.machines.virtual_machine import HOST, Machine
from tests.support.waiting import seconds_until

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("ROOMTONE_VM") != "1", reason="a virtual machine, minutes: ./run test-vm"
    ),
    pytest.mark.timeout(3000),
]

SLOW_S = float(os.environ.get("ROOMTONE_VM_WAIT_S", "180"))
"""How long to wait for what takes seconds on a device."""
DRIVER = "/sys/bus/platform/drivers/snd_aloop"
FORBIDDEN = ("read=/dev/vda", "read=/dev/hwrng", "read=/dev/cpu_dma_latency")
"""No sound; in the control everybody may read them."""
UNITS = "/etc/systemd/system"
MICROPHONE = "read=/dev/snd/controlC0"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def heard(broker: Broker) -> Iterator[Subscriber]:
    heard = Subscriber(broker)
    yield heard
    heard.close()


@pytest.fixture(scope="module")
def machine(broker: Broker, heard: Subscriber) -> Iterator[Machine]:
    reason = machines.reason_to_skip()
    if reason:
        pytest.fail(f"./run test-vm was asked for, and cannot run: {reason}")
    with machines.running(broker.port) as machine:
        bring_probe(machine)
        yield machine


def event_comes(machine: Machine, heard: Subscriber) -> float:
    """Seconds until another event is at the broker outside."""
    heard.forget_events()
    try:
        return seconds_until(lambda: not heard.events.empty(), SLOW_S, "an event")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.journal()}") from None


def test_what_is_said_to_a_real_card_is_an_event_outside(machine: Machine, heard: Subscriber) -> None:
    event_comes(machine, heard)
    assert heard.last("mic") == "ok"
    # It is the installed unit, on a system of its own, and ALSA is what it hears by.
    assert "cgroup2fs" in machine.run("stat -f -c %T /sys/fs/cgroup")
    holders = machine.run("find /proc/[0-9]*/fd -lname '/dev/snd/pcm*c' -printf '%h\n'")
    assert {int(pid) for pid in re.findall(r"/proc/(\d+)/fd", holders)} == {machine.pid(EAR)}


def test_a_moment_without_the_processor_costs_sound_and_not_the_microphone(
    machine: Machine, heard: Subscriber
) -> None:
    event_comes(machine, heard)
    before, told = machine.pid(EAR), len(heard.messages)
    # The device's buffer runs over meanwhile.
    machine.run(f"kill -STOP {before}; sleep 1.5; kill -CONT {before}")
    event_comes(machine, heard)
    assert machine.pid(EAR) == before
    assert "Stream closed" not in machine.run(f"journalctl --namespace=roomtone-ear -u {EAR} -o cat")
    assert not [payload for _, topic, payload in heard.messages[told:] if topic.endswith("/mic")]


def test_a_card_that_is_unplugged_while_it_is_heard_comes_back(machine: Machine, heard: Subscriber) -> None:
    event_comes(machine, heard)
    before = machine.pid(EAR)
    # The kernel waits until everybody has let go of the card: a read of it never returns, as with a USB microphone.
    machine.run(f"systemd-run -q --collect --unit=unplug /bin/sh -c 'echo snd_aloop.0 > {DRIVER}/unbind'")
    seconds_until(lambda: not machine.run("ls /proc/asound | grep card0 || :"), SLOW_S, "the card is away")
    seconds_until(lambda: heard.last("mic") == "lost", SLOW_S, "the loss is said")
    seconds_until(
        lambda: machine.run("systemctl is-active unplug || :").strip() != "active", SLOW_S, "nobody holds it"
    )
    # Away, it is a state and not a crash loop.
    lost = machine.pid(EAR)
    time.sleep(20)
    assert machine.pid(EAR) == lost
    machine.run(f"echo snd_aloop.0 > {DRIVER}/bind")
    taken = event_comes(machine, heard)
    print(
        f"\nunplugged: the ear was process {before}, then {lost}; events again {taken:.0f} s after the card"
    )
    assert heard.last("mic") == "ok"


def test_who_holds_the_card_is_recognised_and_named(machine: Machine, heard: Subscriber) -> None:
    both = "-d 600 -f S16_LE -r 16000 /dev/null"
    machine.run(f"systemctl stop {EAR} room")
    try:
        # Each end of the card can record: both are taken.
        for end in (0, 1):
            machine.run(f"systemd-run -q --collect --unit=hold{end} arecord -q -D hw:Loopback,{end},0 {both}")
        seconds_until(lambda: "owner_pid" in status(machine), SLOW_S, "arecord has it")
        said = machine.run("roomtone doctor || :")
        assert re.search(r"arecord \(process \d+\) holds Loopback", said), said
        machine.run(f"systemctl start --no-block {EAR}")
        seconds_until(
            lambda: (
                "holds Loopback" in machine.run(f"journalctl --namespace=roomtone-ear -u {EAR} -n 20 -o cat")
            ),
            SLOW_S,
            "the ear says it",
        )
        seconds_until(lambda: heard.last("mic") == "lost", SLOW_S, "the loss is said")
        machine.run(f"systemctl stop {EAR} hold0 hold1")
        # The sound server itself, with the card as it takes one.
        put(
            machine,
            "/srv/hold.pa",
            "".join(f"load-module module-alsa-source device=hw:Loopback,{end},0\n" for end in (0, 1)),
        )
        machine.run(
            "systemd-run -q --collect --unit=hold -E HOME=/run -E XDG_RUNTIME_DIR=/run pulseaudio -n -F /srv/hold.pa "
            "--exit-idle-time=-1 --use-pid-file=no --daemonize=no"
        )
        # It opens the device at once, and lets go of it when nobody listens for a while.
        seconds_until(lambda: "owner_pid" in status(machine), SLOW_S, "PulseAudio has it")
        said = machine.run("roomtone doctor || :")
        assert re.search(r"PulseAudio \(process \d+\) holds Loopback and has to release it", said), said
    finally:
        machine.run("systemctl stop hold hold0 hold1", check=False)
        machine.run(f"systemctl start room {EAR}")
    event_comes(machine, heard)


def status(machine: Machine) -> str:
    return machine.run("cat /proc/asound/card0/pcm0c/sub0/status")


def test_the_ear_opens_sound_and_no_other_device(machine: Machine) -> None:
    # Whom the permissions of files let in, the control group stops.
    machine.run(
        "modprobe virtio_rng; chmod 666 " + " ".join(wish.removeprefix("read=") for wish in FORBIDDEN)
    )
    found = probe(machine, EAR, MICROPHONE, *FORBIDDEN)
    assert found.pop(MICROPHONE) == "ok"
    assert set(found.values()) == {"Operation not permitted"}
    # `ProtectClock=` brings a list of devices of its own.
    free = probe(machine, EAR, *FORBIDDEN, without="DevicePolicy=auto\nDeviceAllow=\nProtectClock=no")
    assert set(free.values()) == {"ok"}


def test_the_ear_reaches_nobody_even_with_a_network_and_sockets(machine: Machine, broker: Broker) -> None:
    """The third wall, `IPAddressDeny=any`, alone."""
    outside = f"tcp={HOST}:{broker.port}"
    walls = "RestrictAddressFamilies=\nPrivateNetwork=no"
    assert probe(machine, EAR, outside, without=walls)[outside] != "ok"
    assert probe(machine, EAR, outside, without=f"{walls}\nIPAddressDeny=")[outside] == "ok"


def test_the_link_reaches_no_sound_server_by_tcp(machine: Machine, broker: Broker) -> None:
    put(
        machine,
        "/srv/tcp.pa",
        "load-module module-null-sink\n"
        "load-module module-native-protocol-tcp auth-anonymous=1 listen=127.0.0.1 port=4713\n",
    )
    machine.run(
        "systemd-run -q --collect --unit=soundserver -E HOME=/run -E XDG_RUNTIME_DIR=/run pulseaudio -n -F /srv/tcp.pa "
        "--exit-idle-time=-1 --use-pid-file=no --daemonize=no"
    )
    try:
        # 4713, in the words of the kernel: the bare system has no `ss`.
        seconds_until(lambda: ":1269 " in machine.run("cat /proc/net/tcp"), SLOW_S, "it listens")
        server, outside = "tcp=4713", f"tcp={HOST}:{broker.port}"
        found = probe(machine, LINK, server, outside)
        assert found[outside] == "ok"
        assert found[server] != "ok"
        assert probe(machine, LINK, server, without="IPAddressDeny=")[server] == "ok"
    finally:
        machine.run("systemctl stop soundserver")


def test_its_health_is_shown_to_this_machine_alone(machine: Machine) -> None:
    """`SocketBindAllow=` and `IPAddressAllow=` of the drop-in that a configuration with `metrics_port` asks for."""
    config, dropin = "/etc/roomtone/roomtone.toml", f"{UNITS}/{LINK}.d/50-configuration.conf"
    machine.run(f"sed -i 's/^#metrics_port = .*/metrics_port = 9100/' {config}")
    written = (
        f"/opt/roomtone/current/bin/python -m provisioning.device dropins --config {config} --units {UNITS}"
    )
    assert dropin in machine.run(written)

    def asked(address: str) -> str:
        code = (
            f"import urllib.request as u; print(u.urlopen('http://{address}:9100/metrics').read().decode())"
        )
        return machine.run(f'python3 -c "{code}"', check=False)

    try:
        machine.run(f"systemctl daemon-reload && systemctl restart {LINK}")
        seconds_until(lambda: "roomtone_" in asked("127.0.0.1"), SLOW_S, "Prometheus reads it")
        assert "Connection refused" in asked("10.0.2.15")
    finally:
        machine.run(f"sed -i 's/^metrics_port = .*/#metrics_port = .../' {config} && {written}")
        machine.run(f"systemctl daemon-reload && systemctl restart {LINK}")


def commands() -> list[str]:
    """Those of docs/device.md with which anyone can check a box, word for word, and the line before them."""
    section = (ROOT / "docs/device.md").read_text().split("## Check it yourself")[1].split("\n## ")[0]
    block = section.split("```sh\n")[1].split("```")[0]
    return [line for line in block.splitlines() if line and not line.startswith("#")]


def test_the_five_commands_of_the_handbook_show_what_they_promise(
    machine: Machine, heard: Subscriber, broker: Broker
) -> None:
    event_comes(machine, heard)
    variables, network, disk, holders, exposure, told = commands()

    def shown(command: str) -> str:
        # The bare system has no `sudo`; whoever is here is root.
        return machine.run(f'sudo() {{ "$@"; }}; {variables}; {command}', check=False)

    seen = shown(network)
    assert re.findall(r"^ *(\w+):", seen, re.MULTILINE) == ["lo"]
    assert set(seen.split("lo:")[1].split()) == {"0"}
    assert shown(disk).count("Read-only file system") == 2
    recording = re.compile(r"^/proc/(\d+)/fd -> /dev/snd/pcm\w+c$", re.MULTILINE)
    assert recording.findall(shown(holders)) == [str(machine.pid(EAR))]
    machine.run("roomtone mute")
    seconds_until(lambda: not recording.search(shown(holders)), SLOW_S, "nobody holds it")
    machine.run("roomtone unmute")
    event_comes(machine, heard)
    levels = dict(re.findall(r"level for roomtone-(\w+)\.service: ([\d.]+)", shown(exposure)))
    assert float(levels["ear"]) <= 0.5
    assert float(levels["link"]) <= 1.0
    words = [
        *shlex.split(told.replace("BROKER", broker.host)),
        "-p",
        str(broker.port),
        "-W",
        str(int(SLOW_S)),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert any(line.startswith("roomtone/kitchen/event {") for line in listener.stdout)
        listener.kill()


@pytest.mark.parametrize(("unit", "limit_mb"), [(EAR, 400), (LINK, 300)])
def test_who_takes_more_memory_than_allowed_is_killed(machine: Machine, unit: str, limit_mb: int) -> None:
    hog = f"hog={limit_mb + 100}"
    said, result = start_in_place(machine, unit, hog)
    assert result == "oom-kill"
    assert "PROBE" not in said
    assert probe(machine, unit, hog, without="MemoryMax=infinity")[hog] == "ok"


def test_nothing_of_it_left_the_box_unable_to_hear(machine: Machine, heard: Subscriber) -> None:
    event_comes(machine, heard)
