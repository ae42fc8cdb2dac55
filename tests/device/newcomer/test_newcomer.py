"""README.md as a newcomer follows it: a fresh Debian with git and sudo, and an ordinary user who types its commands.

One Debian each, and the tests one after another on it. Run before a release, and when anything of the set-up changed:
`./run test-newcomer`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.machines import container as containers
from tests.support.machines.container import AUTHORITIES, Container
from tests.support.machines.terminal import Terminal
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

USER = "ann"
HOME = f"/home/{USER}"
TESTS = os.environ.get("ROOMTONE_NEWCOMER_TESTS", "")
"""Options for `./run test` in there; empty: all tests."""
DEMO = "./run demo --seconds 30"
HUB = "./run hub --mqtt-port 18884 --https-port 18443"
"""The container shares the ports of this machine."""
EVENT = re.compile(r"^\d\d:\d\d:\d\d  \S.*dBFS$", re.MULTILINE)
FIRST_EVENT_S = float(os.environ.get("ROOMTONE_FIRST_EVENT_S", "300"))
"""On a machine like that of .ci/run, which does nothing else, it takes less than 100 s."""
BROWSER = (
    "import sys, urllib.request as web;"
    " print(web.build_opener(web.HTTPCookieProcessor()).open(sys.argv[1]).read().decode())"
)
"""Prints the page of an address; the token in it becomes a cookie."""
FAR, FAR_ADDRESS, FAR_PORT = "broker.test", "192.0.2.77", 18886
"""A broker that is not on the loopback network."""
CONFIGURATION = "cat /etc/roomtone/roomtone.toml; cat /etc/roomtone/credentials/* | sha256sum"
SERVICES = ("caddy", "mosquitto", "postgresql")
# The index and the authorities of this machine; a newcomer's machine needs none of it.
MACHINE = {
    name: value
    for name, value in os.environ.items()
    if name in {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"}
}


@dataclass
class Newcomer:
    """An ordinary user of a fresh Debian."""

    container: Container

    def types(
        self, command: str, *, folder: str = f"{HOME}/roomtone", timeout_s: float = 900
    ) -> tuple[int, str]:
        """Run a command as this user; return its status and all that it printed, which is shown as it comes."""
        settings = MACHINE | {"HOME": HOME}
        environment = [f"{name}={value}" for name, value in settings.items()]
        script = f"cd {folder} && {command}"
        limit = ["timeout", "--kill-after=10", str(timeout_s)]
        typed = shlex.join([*limit, "runuser", "-u", USER, "--", "env", *environment, "bash", "-c", script])
        lines = []
        with subprocess.Popen(
            self.container.way_in(f"exec {typed}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.decode(errors="replace"))
                print(lines[-1], end="", flush=True)
        return process.returncode, "".join(lines)

    def disk_mb(self) -> int:
        return int(self.container.run("du -sxm / 2>/dev/null | cut -f1", check=False))

    def interrupts(self, command: str, moment: str, after_s: float) -> str:
        """Type a command and press Ctrl-C so long after this appears (or let it end before); what it printed."""
        terminal = Terminal(self.container, USER, f"{HOME}/roomtone", MACHINE, "")
        try:
            return terminal.types(command, 600, moment, after_s=after_s)[1]
        finally:
            terminal.close()


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def newcomer(request: pytest.FixtureRequest) -> Iterator[Newcomer]:
    containers.require_container()
    suite: str = request.param
    work = containers.CACHE / f"work-newcomer-{suite}-{os.getpid()}"
    with containers.overlay(containers.fresh(suite), work) as root:
        for file in Path("/etc/apt/apt.conf.d").glob("99*"):
            (root / "etc/apt/apt.conf.d" / file.name).write_bytes(file.read_bytes())
        (root / "mnt/authorities").write_bytes(AUTHORITIES.read_bytes())
        (root / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {platform.node()}\n")
        (root / "etc/sudoers.d/ann").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        # Also for root: `sudo` hands on no variables.
        (root / "etc/pip.conf").write_text("[global]\ncert = /mnt/authorities\n")
        # The checkout of the test belongs to another user.
        (root / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")
        container = Container(root, {str(ROOT): "/mnt/source"}, filters=True)
        try:
            container.boot()
            container.run(f"useradd --create-home --shell /bin/bash {USER}")
            yield Newcomer(container)
        finally:
            container.halt()


def test_help_installs_nothing(newcomer: Newcomer) -> None:
    status, said = newcomer.types(
        "git clone -q /mnt/source roomtone && cd roomtone && ./run demo --help",
        folder=HOME,
    )
    assert status == 0, said
    assert "usage" in said
    assert "installing" not in said
    assert newcomer.types("test -e .venv")[0] == 1


def test_the_demo_works_at_once_and_says_little(newcomer: Newcomer) -> None:
    before = newcomer.disk_mb()
    begun = time.monotonic()
    status, said = newcomer.types(DEMO)
    took = time.monotonic() - begun - 30
    print(f"\n{took:.0f} s from the command to the first event, at most")
    print(f"{newcomer.disk_mb() - before} MB of disk, with what apt and pip keep")
    assert status == 0, said
    assert len(EVENT.findall(said)) >= 2
    assert len(said.splitlines()) < 40, said
    assert took < FIRST_EVENT_S
    begun = time.monotonic()
    status, said = newcomer.types("./run demo --seconds 5 --playback /usr/share/pocketsphinx/test/data/cards")
    print(f"again: {time.monotonic() - begun - 5:.1f} s")
    assert status == 0, said


def test_what_the_demo_prints_can_be_typed(newcomer: Newcomer) -> None:
    _, said = newcomer.types(
        "(./run demo --seconds 25 > demo.log 2>&1 &"
        " for i in $(seq 240); do grep -q Events demo.log && break; sleep 0.5; done;"
        " eval \"timeout 20 $(sed -n 's/^ *Events *//p' demo.log) -C 1\";"
        f" python3 -c '{BROWSER}' $(sed -n 's/^ *Page *//p' demo.log); wait)"
    )
    assert '"event_type"' in said, said
    assert '<div id="app">' in said, said


@pytest.mark.parametrize(
    ("moment", "after_s"),
    [
        ("installing Debian packages", 1),
        ("installing Debian packages", 6),
        ("installing Debian packages", 12),
    ],
)
def test_ctrl_c_while_apt_works_is_made_good_by_the_same_command(
    newcomer: Newcomer, moment: str, after_s: float
) -> None:
    newcomer.container.run("apt-get purge -y -qq mosquitto caddy >/dev/null 2>&1; apt-get clean")
    newcomer.interrupts(HUB, moment, after_s)
    assert "Page    https://" in newcomer.interrupts(HUB, "Broker  mqtts://", 0)
    # What apt started is not left running, also where it was interrupted.
    for service in ("caddy", "mosquitto"):
        assert newcomer.container.run(f"systemctl is-active {service}", check=False).strip() != "active"
        assert newcomer.container.run(f"systemctl is-enabled {service}", check=False).strip() != "enabled"


@pytest.mark.parametrize(
    ("moment", "after_s"),
    [
        ("making a virtual environment", 0),
        ("making a virtual environment", 2),
        ("installing Python packages", 1),
        ("installing Python packages", 10),
        ("installing Python packages", 25),
    ],
)
def test_ctrl_c_while_the_environment_is_made_is_made_good_by_the_same_command(
    newcomer: Newcomer, moment: str, after_s: float
) -> None:
    newcomer.types("rm -rf .venv")
    newcomer.interrupts("./run setup", moment, after_s)
    status, said = newcomer.types("./run setup && .venv/bin/roomtone --version")
    assert status == 0, said


def test_without_a_network_the_way_without_one_is_named(newcomer: Newcomer) -> None:
    offline = f"sudo unshare --net -- runuser -u {USER} -- env HOME={HOME} ROOMTONE_VENV={HOME}/offline"
    # Debian's packages are there already, and then they are not.
    for removed in ("true", "apt-get purge -y -qq mosquitto >/dev/null 2>&1; rm -rf /var/lib/apt/lists/*"):
        newcomer.container.run(removed)
        status, said = newcomer.types(f"{offline} {HUB}", timeout_s=900)
        assert status == 2, said
        assert "provisioning/bundle-offline" in said
    newcomer.types("rm -rf ~/offline")


def test_an_environment_without_pip_and_a_renamed_checkout_heal(newcomer: Newcomer) -> None:
    status, said = newcomer.types("rm -rf .venv/lib/python3*/site-packages/pip && ./run setup")
    assert status == 0, said
    newcomer.container.run("dpkg --force-all --unpack /var/cache/apt/archives/*.deb 2>/dev/null || true")
    status, said = newcomer.types(
        "mv ../roomtone ../renamed && cd ../renamed && ./run demo --seconds 10 --once",
        folder=HOME + "/roomtone",
    )
    assert status in {0, 1}, said
    assert EVENT.search(said), said
    assert newcomer.types(f"mv {HOME}/renamed {HOME}/roomtone", folder=HOME)[0] == 0


def test_the_tests_pass(newcomer: Newcomer) -> None:
    before = newcomer.disk_mb()
    # A thousand small packages, and no power cut here: without waiting for the disk after each file.
    newcomer.container.run("echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/unsafe-io")
    status, said = newcomer.types(f"./run test {TESTS}", timeout_s=6600)
    print(f"{newcomer.disk_mb() - before} MB of disk, with what apt and pip keep")
    assert status == 0, said[-8000:]
    assert re.search(r"\d+ passed", said)
    for service in SERVICES:
        assert newcomer.container.run(f"systemctl is-active {service}", check=False).strip() != "active"
        assert newcomer.container.run(f"systemctl is-enabled {service}", check=False).strip() != "enabled"
    # The tests leave nothing in the home folder but caches of pip and npm.
    left = newcomer.types("ls -A ~")[1].split()
    assert {".keras", ".step"} & set(left) == set()


@contextlib.contextmanager
def resolver_on_this_machine(newcomer: Newcomer) -> Iterator[None]:
    """Names are looked up at dnsmasq on 127.0.0.1, and the broker has an address that only its name leads to."""
    run, root = newcomer.container.run, newcomer.container.root
    run("(apt-get update -qq && apt-get install -y -qq dnsmasq-base) >/dev/null 2>&1")
    (root / "srv/far.conf").write_text(f"listener {FAR_PORT} {FAR_ADDRESS}\nallow_anonymous true\n")
    before = (root / "etc/resolv.conf").read_bytes()
    address = f"{FAR_ADDRESS}/32"
    subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    try:
        run("systemd-run -q --unit=far mosquitto -c /srv/far.conf")
        names = f"--no-resolv --no-hosts --address=/{FAR}/{FAR_ADDRESS} --listen-address=127.0.0.1 --bind-interfaces"
        run(f"systemd-run -q --unit=names dnsmasq --keep-in-foreground --conf-file=/dev/null {names}")
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        yield
    finally:
        (root / "etc/resolv.conf").write_bytes(before)
        run("systemctl stop far names", check=False)
        subprocess.run(["ip", "address", "del", address, "dev", "lo"], check=True)


BROKER_OF_THE_SITE = (
    # An earlier test has removed the lists of packages.
    "sudo apt-get update -qq && sudo apt-get install -y -qq mosquitto >/dev/null 2>&1 &&"
    " sudo mkdir -p /etc/systemd/system/mosquitto.service.d &&"
    " printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/roomtone/mosquitto.conf\\n'"
    " | sudo tee /etc/systemd/system/mosquitto.service.d/roomtone.conf >/dev/null && sudo systemctl daemon-reload"
)


def test_a_device_is_installed_with_a_join_file_in_this_folder_and_uninstalled(newcomer: Newcomer) -> None:
    roomtone = ".venv/bin/roomtone"
    for command in (
        # The checkout was renamed, and back.
        "./run setup",
        BROKER_OF_THE_SITE,
        f"{roomtone} fleet init --broker localhost --port 18883",
        f"sudo {roomtone} fleet deploy --to /etc/mosquitto/roomtone",
        f"sudo {roomtone} fleet enrol kitchen 2>&1 | tee enrolled",
        "cp site/joins/kitchen.join .",
    ):
        status, said = newcomer.types(command)
        journal = newcomer.container.run("journalctl -n 40 --no-pager -o cat") if status else ""
        assert status == 0, f"{command}\n{said}\n{journal}"
    code = "--code $(grep -o '[A-Z2-7-]\\{17\\}' enrolled)"
    install = f"sudo provisioning/install.sh --join kitchen.join {code} --wait 0"
    for moment, after_s in (
        ("installing /opt/roomtone/versions", 1),
        ("installing /opt/roomtone/versions", 15),
        ("installing /opt/roomtone/versions", 40),
        ("/opt/roomtone/current is", 0),
    ):
        newcomer.interrupts(install, moment, after_s)
    status, said = newcomer.types(install)
    assert status == 0, said
    run = newcomer.container.run
    assert run("systemctl is-active roomtone-ear roomtone-link").split() == ["active", "active"]
    status, said = newcomer.types("sudo roomtone doctor --only link")
    assert status == 0, said
    # A broker that cannot be reached, and one that refuses another site's certificate: what worked stays.
    before = run(CONFIGURATION)
    other = (
        f"--site other init --broker localhost --port 18883 && {roomtone} fleet --site other enrol kitchen"
    )
    status, said = newcomer.types(f"{roomtone} fleet {other} 2>&1 | tee other.txt")
    assert status == 0, said
    code = "--code $(grep -o '[A-Z2-7-]\\{17\\}' other.txt)"
    for options in ("--broker mqtt://127.0.0.1:9", f"--join other/joins/kitchen.join --new-site {code}"):
        status, said = newcomer.types(f"sudo provisioning/install.sh {options} --wait 0")
        assert status == 1, said
        assert run(CONFIGURATION) == before
        assert run("systemctl is-active roomtone-ear roomtone-link").split() == ["active", "active"]
        status, said = newcomer.types("sudo roomtone doctor --only link")
        assert status == 0, said
    with resolver_on_this_machine(newcomer):
        status, said = newcomer.types(
            f"sudo provisioning/install.sh --broker mqtt://{FAR}:{FAR_PORT} --wait 0"
        )
        assert status == 0, said
        connected = rf"\[connected\] .*{FAR}"
        until(lambda: re.search(connected, run("journalctl -u roomtone-link -o cat")), 60)
    status, said = newcomer.types("sudo provisioning/uninstall.sh --purge")
    assert status == 0, said
    assert run("ls -d /opt/roomtone /etc/roomtone /var/lib/roomtone 2>/dev/null", check=False).strip() == ""
    assert "roomtone" not in run("systemctl list-unit-files 'roomtone-*' --no-legend", check=False)
