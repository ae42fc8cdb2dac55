"""A hub as services: installed on a Debian that boots, each part in its sandbox, a device enrolled and revoked."""

from __future__ import annotations

import os
import re
import shlex
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config import join_file
from tests.conftest import ROOT
from tests.support.machines import container as containers
from tests.support.machines.container import AUTHORITIES, Container
from tests.support.site.fleet import Client
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

UNITS = ("roomtone-broker", "roomtone-recorder", "roomtone-dashboard", "roomtone-proxy")
# The index and the authorities of this machine; a hub of one's own needs none of it.
MACHINE = {
    name: value
    for name, value in os.environ.items()
    if name in {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"}
}


class Hub:
    """The container, and commands in it."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def __call__(self, command: str, timeout_s: float = 120) -> str:
        words = shlex.join(["env", *(f"{k}={v}" for k, v in MACHINE.items()), "bash", "-c", command])
        done = subprocess.run(
            self.container.way_in(f"exec {words}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
        )  # fmt: skip
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{command}: {said[-6000:]}"
        return said

    def fleet(self, words: str) -> str:
        site = "/var/lib/roomtone-hub/site"
        return self(
            f"roomtone-hub fleet --site {site} {words} || {{ journalctl -n 40 --no-pager -o cat; exit 1; }}"
        )


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    containers.require_container()
    work = containers.CACHE / f"work-hub-{os.getpid()}"
    with containers.overlay(containers.bare("bookworm"), work) as root:
        for file in Path("/etc/apt/apt.conf.d").glob("99*"):
            (root / "etc/apt/apt.conf.d" / file.name).write_bytes(file.read_bytes())
        (root / "mnt/authorities").write_bytes(AUTHORITIES.read_bytes())
        (root / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
        (root / "etc/pip.conf").write_text("[global]\ncert = /mnt/authorities\n")
        container = Container(root, {str(ROOT): "/mnt/source"})
        try:
            container.boot()
            made = Hub(container)
            install = "/mnt/source/provisioning/hub/install.sh --host localhost"
            # A port that another program has is refused before anything is installed.
            other = "python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 & pid=$!; sleep 2"
            said = made(
                f"{other}; {install} 2>&1; echo status $?; kill $pid; ls /opt /usr/bin/caddy 2>&1 || true"
            )
            assert "port 8080 is in use" in said
            assert "status 0" not in said
            assert "roomtone" not in said.partition("status")[2]
            said = made(install, timeout_s=1800)
            print(said)
            assert "log in as `operator` with the password" in said
            yield made
        finally:
            container.halt()


def test_all_parts_run_each_as_a_user_of_its_own_and_in_its_sandbox(hub: Hub) -> None:
    assert hub(f"systemctl is-active {' '.join(UNITS)}").split() == ["active"] * len(UNITS)
    for unit in UNITS:
        user = hub(f"stat -c %U /proc/$(systemctl show -P MainPID {unit})").strip()
        assert user.startswith("roomtone"), (unit, user)
        exposure = hub(f"systemd-analyze security {unit} | tail -1")
        print(exposure.strip())
        assert float(re.findall(r"(\d+\.\d+)", exposure)[0]) <= 2.0, exposure
    # The authority's key is root's alone, and no unit sees it.
    for unit in UNITS:
        pid = hub(f"systemctl show -P MainPID {unit}").strip()
        seen = hub(f"nsenter -t {pid} -m ls -A /var/lib/roomtone-hub/site 2>&1 || true")
        assert "ca.key" not in seen, unit


def test_the_page_answers_over_https(hub: Hub) -> None:
    def page() -> bytes:
        with urllib.request.urlopen(
            "https://localhost/login", context=ssl._create_unverified_context(), timeout=10
        ) as answer:
            content: bytes = answer.read()
        return content

    until(lambda: b"Roomtone" in page(), 60)


def test_a_device_is_enrolled_and_revoked_while_the_services_run(hub: Hub, tmp_path: Path) -> None:
    assert "in force at the broker" in hub.fleet("enrol kitchen --out /root/kitchen.join")
    joined = tmp_path / "kitchen.join"
    joined.write_text(hub("cat /root/kitchen.join"))
    join_file.unpack(join_file.read(joined), tmp_path / "kitchen")
    with Client(8883, tmp_path / "kitchen") as client:
        assert client.publish("roomtone/kitchen/availability", "online", retain=True) < 0x80
        assert client.subscribe("#") == 0x87
        said = hub.fleet("revoke kitchen")
        assert "in force at the broker" in said
        assert client.disconnected.wait(2)
