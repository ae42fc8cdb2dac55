"""A room device as a virtual machine: the kernel is Debian's own, so that control groups and sound cards are its own.

QEMU without KVM (TCG), which runs everywhere; `ROOMTONE_VM_ACCEL=kvm` where that works. The root is the bare Debian of
`container.py` with a kernel in it and Roomtone installed, packed into an image (cached, for each state of the source);
what happens in it is gone with it. The host's loopback interface is 10.0.2.2 inside. Speech is found by the detector of
WebRTC: emulated, the neural one alone takes more than a core, and an ear that falls behind is rightly ended.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT, SPEECH
from tests.support.broker import free_port
from tests.support.machines import container as containers
from tests.support.machines.container import CACHE, Container
from tests.support.machines.system import System

HOST = "10.0.2.2"
"""This machine, seen from inside."""
PORT_THEN = 1883
"""Of the broker, in the configuration of the image; each start has its own."""
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs", "ssh": "openssh-client"}
PACKAGES = "linux-image-amd64 openssh-server alsa-utils pulseaudio"
NETWORK = "[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
# Without an end: a player that comes and goes stops the other end of a loopback card. Again when the card is back.
ROOM = """
[Unit]
Description=Somebody speaks, again and again, into the other end of the loopback card
StartLimitIntervalSec=0
[Service]
Type=exec
Restart=always
RestartSec=1
ExecStart=/bin/sh -c 'while cat /srv/voice.raw && head -c 48000 /dev/zero; do :; done | \\
    aplay -q -t raw -D plughw:Loopback,1,0 -f S16_LE -r 16000'
"""
IMAGE_MB = 2600
ACCELERATOR = os.environ.get("ROOMTONE_VM_ACCEL", "tcg")
"""Not KVM wherever there is a `/dev/kvm`: that of a nested machine may take a guest and never run it."""


def reason_to_skip() -> str:
    """Why no machine can be made here; empty: one can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None]
    return f"apt install {' '.join(missing)}" if missing else containers.reason_to_skip()


def bare() -> Path:
    """The bare Debian with a kernel, a door for the test (SSH) and what plays sound; made once (minutes)."""
    place = CACHE / "root-bookworm-vm"
    with containers.locked(place.name):
        if not place.is_dir():
            part = CACHE / "part-bookworm-vm"
            shutil.rmtree(part, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", containers.bare("bookworm"), part], check=True)
            install = (
                f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {PACKAGES} >/dev/null"
            )
            containers.inside(part, [], "/bin/sh", "-ec", f"{install}; apt-get clean")
            (part / "etc/systemd/network/eth.network").write_text(NETWORK)
            (part / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
            (part / "etc/modules-load.d/sound.conf").write_text("snd-aloop\n")
            (part / "etc/modprobe.d/sound.conf").write_text("options snd-aloop pcm_substreams=1\n")
            # The image is installed in a container with this machine's network: not there.
            containers.inside(part, [], "/bin/sh", "-ec", "systemctl -q disable ssh systemd-networkd")
            part.rename(place)
    return place


def image() -> Path:
    """The folder with `disk`, `kernel`, `initrd` and `key`: the *unchanged* installer has run in it."""
    state = f"{containers.digest(ROOT)}-{zlib.crc32(ROOM.encode()):08x}"
    place = CACHE / "images" / f"bookworm-{state}"
    with containers.locked("image"):
        if place.is_dir():
            return place
        shutil.rmtree(CACHE / "images", ignore_errors=True)
        part = CACHE / "images" / "part"
        part.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", part / "key"], check=True)
        bundle = containers.offline_bundle("bookworm")
        with containers.overlay(bare(), CACHE / "work-image") as root:
            shutil.copytree(bundle, root / "srv/roomtone", symlinks=True)
            shutil.copy(SPEECH / "goforward.raw", root / "srv/voice.raw")
            (root / "etc/systemd/system/room.service").write_text(ROOM)
            (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(part / "key.pub", root / "root/.ssh/authorized_keys")
            container = Container(root, {})
            try:
                container.boot()
                container.run(
                    f"/srv/roomtone/provisioning/install.sh --broker mqtt://{HOST}:{PORT_THEN} --node kitchen --wait 0"
                )
                container.run(
                    'sed -i \'s/^#bundle = .*/bundle = "small"/; s/^#device = .*/device = "alsa:Loopback"/; '
                    's/^#engine = .*/engine = "webrtc"/\' /etc/roomtone/roomtone.toml && '
                    "grep -q '^engine' /etc/roomtone/roomtone.toml"
                )
                container.run("systemctl -q enable ssh systemd-networkd; rm -rf /srv/roomtone; sync")
            finally:
                container.halt()
            containers.inside(root, [], "/opt/roomtone/current/bin/pip", "install", "-q", "webrtcvad-wheels")
            shutil.copy(next(root.glob("boot/vmlinuz-*")), part / "kernel")
            shutil.copy(next(root.glob("boot/initrd.img-*")), part / "initrd")
            with (part / "disk").open("wb") as disk:
                disk.truncate(IMAGE_MB << 20)
            subprocess.run(
                ["mkfs.ext4", "-q", "-d", root, part / "disk"],
                check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            )  # fmt: skip
        part.rename(place)
    return place


class Machine(System):
    """A running one. `run`, `show`, `pid` and `journal` are those of `Container`."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.folder = folder
        self._files = files
        self._port = free_port()
        self._qemu: subprocess.Popen[bytes] | None = None

    def boot(self, timeout_s: float = 600.0) -> None:
        with (self.folder / "console.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                ["qemu-system-x86_64", "-machine", f"q35,accel={ACCELERATOR}", "-cpu", "max", "-smp", "2", "-m", "1536",
                 "-nodefaults", "-display", "none", "-serial", "stdio",
                 "-kernel", self._files / "kernel", "-initrd", self._files / "initrd",
                 "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet",
                 "-drive", f"file={self._files / 'disk'},format=raw,if=virtio,snapshot=on",
                 "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self._port}-:22", "-device", "virtio-net-pci,netdev=n",
                 "-device", "virtio-rng-pci"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + timeout_s
        state = ""
        while state not in {"running", "degraded"}:
            said = (self.folder / "console.log").read_text(errors="replace")[-3000:]
            assert self._qemu.poll() is None, said
            assert time.monotonic() < end, f"the machine does not boot: {state}\n{said}"
            time.sleep(1.0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                state = self.run("systemctl is-system-running", check=False, timeout_s=60).strip()

    def way_in(self, command: str) -> list[str]:
        return [
            "ssh", "-q", "-i", str(self._files / "key"), "-p", str(self._port), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=30", "-o", "ControlMaster=auto",
            "-o", f"ControlPath={self.folder}/door", "-o", "ControlPersist=yes", "root@127.0.0.1",
            f"LC_ALL=C.UTF-8 /bin/bash -c {shlex.quote(command)}",
        ]  # fmt: skip

    def halt(self) -> None:
        if self._qemu is None:
            return
        # The door's own process would outlive the machine.
        subprocess.run(
            ["ssh", "-q", "-o", f"ControlPath={self.folder}/door", "-O", "exit", "root@127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        self._qemu.kill()
        self._qemu.wait(30)
        self._qemu = None


@contextlib.contextmanager
def running(broker_port: int) -> Iterator[Machine]:
    """A booted device that tells a broker on this machine; somebody speaks in its room (`room.service`)."""
    files = image()
    # Not pytest's folder: the path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        machine = Machine(Path(folder), files)
        try:
            machine.boot()
            machine.run(
                f"sed -i 's/^port = {PORT_THEN}$/port = {broker_port}/' /etc/roomtone/roomtone.toml && "
                f"grep -q '^port = {broker_port}$' /etc/roomtone/roomtone.toml && "
                "systemctl start room && systemctl restart roomtone-link roomtone-ear",
            )
            yield machine
        finally:
            machine.halt()
