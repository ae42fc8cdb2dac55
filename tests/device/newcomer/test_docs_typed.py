"""Every shell command of the README and of the pages for users, typed in order by a user with sudo on a fresh Debian.

Blocks with a visible mark `<!-- skip: reason -->` are left out (tests/unit/test_shell_blocks.py counts them). The
computer is called hub.local and has a broker of its own on port 1883, as the pages say.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.bundles import shipped
from tests.support.machines import container as containers
from tests.support.machines.container import AUTHORITIES, Container
from tests.support.machines.shell_blocks import PAGES, Block, blocks
from tests.support.machines.terminal import Terminal

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

USER = "ann"
PASSPHRASE = "correct horse battery"
SPEECH = "/usr/share/pocketsphinx/test/data/cards"
CONFIG = f"""[audio]
source = "playback"
playback_dir = "{SPEECH}"
[mqtt]
host = "hub.local"
[updates]
jitter_s = 0
probation_minutes = 0
probation_utterances = 2
"""
"""Before anything is installed: no one speaks here, and nobody waits for minutes."""
EVENT = '{"v":1,"id":"01JD","event_type":"angry"}'
STAND_INS = {
    "<this repository>": "/mnt/source",
    "-h BROKER": "-h 127.0.0.1",
    # There is no microphone here.
    "[runtime]\n": f'[audio]\nsource = "playback"\nplayback_dir = "{SPEECH}"\n[runtime]\n',
    # The site of docs/fleet.md has a broker on this computer already.
    "./run hub --host": "./run hub --mqtt-port 8884 --host",
}


@dataclass(frozen=True)
class Expected:
    """What a block says will happen."""

    said: str = ""
    until: str = ""
    """It runs until Ctrl-C, which is pressed when this appears."""
    stays: bool = False
    """It goes on running in its terminal, and the next commands are typed in another one."""
    never: str = ""
    """What it must not say."""
    before: str = ""
    """What is typed before it, since these pages are about more than one computer and this is one."""
    stops_servers: bool = False
    """What goes on running in other terminals is ended before, as the page says."""
    then: tuple[str, str] = ("", "")
    """A command of root and what it says within two minutes, afterwards."""
    fails: str = ""
    """How the command begins of which the page says that it fails, or that needs a microphone."""


# What was a device of one site becomes one of another.
NEW_DEVICE = f"""sudo provisioning/uninstall.sh --purge
sudo mkdir -p /etc/roomtone
printf '%s' '{CONFIG}' | sudo tee /etc/roomtone/roomtone.toml >/dev/null
"""
EXPECTED = {
    "git clone": Expected(until=r"dBFS"),
    "mosquitto_sub": Expected(until=r"event_type|angry"),
    "cat > room.toml": Expected(until=r"INFO ear: \[ready\]", fails="roomtone devices"),
    "roomtone fleet init": Expected(said="site"),
    "sudo mkdir -p /etc/systemd/system/mosquitto": Expected(said="in force at the broker"),
    "cp site/joins/kitchen.join": Expected(said="it hears: "),
    'sudo "$(command -v roomtone)" fleet revoke': Expected(said="in force at the broker"),
    "EAR=": Expected(until="event_type", fails="sudo nsenter"),
    "./run hub": Expected(until=r"Page +https://hub\.local:8443/", stays=True),
    ". .venv/bin/activate\nroomtone fleet --site hub/site enrol": Expected(
        said="it hears: ", before=NEW_DEVICE
    ),
    "sudo provisioning/hub/install.sh": Expected(
        said="password", before="sudo systemctl -q disable --now mosquitto\n"
    ),
    "CA=": Expected(said='"kitchen"', never='{"error"'),
    "roomtone hub restore": Expected(stops_servers=True),
    # docs/hub.md has muted it.
    ". .venv/bin/activate\nroomtone fleet --site hub/site renew": Expected(
        said="it hears: ", before="sudo roomtone unmute\n"
    ),
    "roomtone fleet --site hub/site push models/": Expected(
        said="1 of 1 devices run it", then=("roomtone model status", "releases above 1 are accepted")
    ),
    "roomtone fleet list": Expected(said="broker"),
    "sudo roomtone model status": Expected(said="baseline"),
}


def expected(block: Block) -> Expected:
    return next((what for start, what in EXPECTED.items() if block.text.startswith(start)), Expected())


@dataclass
class Reader:
    """Somebody who types what the pages say."""

    container: Container
    terminals: list[Terminal]
    servers: list[Terminal] = field(default_factory=list)
    """Terminals in which something goes on running."""

    def terminal(self) -> Terminal:
        if not self.terminals:
            self.open("~" if not self.container.run(f"ls /home/{USER}").split() else "~/roomtone")
        return self.terminals[-1]

    def open(self, folder: str) -> None:
        settings = {
            name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS") if name in os.environ
        } | {"PASSWORD": PASSPHRASE}
        self.terminals.append(Terminal(self.container, USER, folder, settings, PASSPHRASE))

    def after(self, command: str, word: str, timeout_s: float = 120.0) -> str:
        limit = time.monotonic() + timeout_s
        while word not in (said := self.container.run(command, check=False)) and time.monotonic() < limit:
            time.sleep(2)
        return said

    def types(self, block: Block) -> str:
        """Type one block; what is wrong with what happened, or nothing."""
        text = block.text
        for word, stand_in in STAND_INS.items():
            text = text.replace(word, stand_in)
        what = expected(block)
        text = what.before + text
        if what.stops_servers:
            while self.servers:
                self.servers.pop().ends(180)
        failed, said = self.terminal().types(text, 1500, what.until, what.stays)
        if what.stays:
            self.servers.append(self.terminals[-1])
            self.open("~/roomtone")
        print(f"--- {block.name}\n{text}\n>>>\n{said[-3000:]}")
        if what.never and what.never in said:
            return f"{block.name}: says {what.never!r}\n{said[-2000:]}"
        if failed and not (what.fails and failed.startswith(what.fails)):
            return f"{block.name}: failed: {failed}\n{said[-2000:]}"
        if what.said and what.said not in said:
            return f"{block.name}: does not say {what.said!r}\n{said[-2000:]}"
        command, word = what.then
        if command and word not in self.after(command, word):
            return f"{block.name}: afterwards `{command}` does not say {word!r}\n{self.after(command, word)}"
        return ""


def prepare(root: Path) -> None:
    for file in Path("/etc/apt/apt.conf.d").glob("99*"):
        (root / "etc/apt/apt.conf.d" / file.name).write_bytes(file.read_bytes())
    (root / "mnt/authorities").write_bytes(AUTHORITIES.read_bytes())
    (root / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost hub.local\n127.0.1.1 {platform.node()}\n")
    (root / "etc/sudoers.d/ann").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    (root / "etc/pip.conf").write_text("[global]\ncert = /mnt/authorities\n")
    (root / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")
    (root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    (root / "etc/roomtone").mkdir()
    (root / "etc/roomtone/roomtone.toml").write_text(CONFIG)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    containers.require_container()
    work = containers.CACHE / f"work-docs-{request.param}-{os.getpid()}"
    with containers.overlay(containers.fresh(request.param), work) as root:
        prepare(root)
        container = Container(root, {str(ROOT): "/mnt/source"}, filters=True)
        reader = Reader(container, [])
        publisher = None
        try:
            container.boot()
            container.run(f"useradd --create-home --shell /bin/bash {USER}")
            container.run(
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mosquitto"
                " mosquitto-clients jq curl openssl procps iproute2 >/dev/null 2>&1"
            )
            # Debian's own broker is on port 1883 until the site's page takes it over; then there is another one.
            publisher = subprocess.Popen(
                container.way_in(
                    "while sleep 1; do"
                    " [ ! -e /etc/systemd/system/mosquitto.service.d ] || ss -ltn | grep -q ':1883 ' ||"
                    " (mosquitto -p 1883 >/dev/null 2>&1 &);"
                    f" mosquitto_pub -t roomtone/kitchen/event -m '{EVENT}';"
                    ' mosquitto_pub -t roomtone/kitchen/episode -m \'{"event_type":"started"}\';'
                    ' mosquitto_pub -t roomtone/kitchen/state -m \'{"emotion":"angry"}\'; done'
                )
            )
            yield reader
        finally:
            for terminal in reader.terminals:
                terminal.close()
            if publisher is not None:
                publisher.kill()
                publisher.wait(10)
            container.halt()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_works_when_it_is_typed(reader: Reader, page: str) -> None:
    wrong = [found for block in blocks(page) if not block.skipped and (found := reader.types(block))]
    assert wrong == [], "\n\n".join(wrong)


def test_another_model_that_is_pushed_from_this_hub_runs_on_its_device(reader: Reader) -> None:
    """After the pages: what they push is the model of the package, which the device has already."""
    folder = reader.container.root / f"home/{USER}/own"
    shipped.relabelled(folder, "9.3.0")
    push = 'roomtone fleet --site hub/site push ~/own/base-9.3.0 --to all --force "the same network, other bytes"\n'
    assert reader.types(Block("push", 0, push, "")) == ""
    said = reader.after("roomtone model status", "confirmed")
    assert "base-9.3.0" in said, said
    assert "confirmed" in said, said
