"""The broker cluster of docker/scale: nodes of Debian 13, each in a network of its own, joined by a bridge.

It belongs in `tests.support.machines.network`: the bridge is made in the network of the calling thread, from which the
nodes are reached at `ADDRESSES`, port 1883.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.conftest import ROOT
from tests.support.machines.brokers import inside
from tests.support.machines.secured_brokers import write_credentials

ADDRESSES: Final = ("10.98.0.11", "10.98.0.12")
OUTSIDE: Final = "10.98.0.1"
BRIDGE: Final = "cluster0"
PORT: Final = 1883
USER: Final = "hub"
PASSWORD: Final = "password-of-the-hub"
START_S: Final = 240.0
START: Final = """
ip link set lo up; ip address add {address}/24 dev host0; ip link set host0 up
cp /test/ejabberd.yml /etc/ejabberd/ejabberd.yml
exec sh /test/broker.sh
"""


class Node:
    """One node; `kill` is a power cut."""

    def __init__(self, folder: Path, number: int) -> None:
        self.address = ADDRESSES[number]
        self.url = f"mqtt://{USER}@{self.address}"
        self._folder = folder / f"node-{number}"
        self._folder.mkdir()
        self._folder.chmod(0o755)
        write_credentials(self._folder)
        for name in ("ejabberd.yml", "broker.sh"):
            shutil.copy(ROOT / "docker" / "scale" / name, self._folder)
        (self._folder / "start.sh").write_text(START.format(address=self.address))
        environment = {
            "ROOMTONE_NODE": self.address,
            "ROOMTONE_FIRST": ADDRESSES[0] if number else "",
            "ROOMTONE_CERTIFICATE": "/test/broker.pem",
            "ROOMTONE_HUB_PASSWORD": PASSWORD,
            "ROOMTONE_COOKIE": "cluster",
        }
        command = inside(self._folder, f"ejabberd-{number}", "sh", "/test/start.sh", **environment)
        command.insert(1, f"--network-bridge={BRIDGE}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def _log(self) -> Path:
        return self._folder / "console.log"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> Node:
        """Return when it runs, and has joined."""
        end = time.monotonic() + START_S
        while f"broker {self.address} is ready" not in self.log:
            assert self._process.poll() is None, self.log[-3000:]
            assert time.monotonic() < end, self.log[-3000:]
            time.sleep(0.5)
        return self

    def kill(self) -> None:
        """End all of its processes at once: its first process takes the others with it."""
        if self._process.poll() is not None:
            return
        below = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in below:
            subprocess.run(["kill", "-KILL", child], check=False)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


@contextlib.contextmanager
def cluster(folder: Path, meanwhile: Callable[[], None] = lambda: None) -> Iterator[list[Node]]:
    """Start a bridge and two nodes on it; `meanwhile` is called while the second one starts."""
    for command in (
        f"ip link add {BRIDGE} type bridge",
        f"ip address add {OUTSIDE}/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
    ):
        subprocess.run(command.split(), check=True)
    nodes: list[Node] = []
    try:
        for number in range(len(ADDRESSES)):
            nodes.append(Node(folder, number))
            if number:
                meanwhile()
            nodes[-1].wait()
        yield nodes
    finally:
        for node in nodes:
            node.kill()
