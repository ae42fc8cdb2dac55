"""A push to an installed box: its own systemd, its own validation (a service without network or devices), a real site.

The box joins with a join file and nothing else; models come over HTTPS from a hub outside, the command is `fleet push`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.bundles import shipped, tiny
from tests.support.machines.device import VOICE, Box, booted
from tests.support.site.fleet import FleetSite
from tests.support.site.hub_server import Hub
from tests.support.waiting import seconds_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

EAR, LINK, SOCKET = "roomtone-ear.service", "roomtone-link.service", "roomtone-validation.socket"
REASON = "the comparison has no recordings in this test"


class Pushed(SimpleNamespace):
    """`box`, `site`, `made`: the installed box, whose it is, and a folder for bundles."""

    box: Box

    def state(self) -> dict[str, Any]:
        """What the store in the box says; empty before anything was pushed."""
        path = self.box.outside("/var/lib/roomtone/models/state.json")
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def publish(self, bundle: Path) -> None:
        self.site.fleet("publish", bundle, "--force", REASON, *self.signing)

    def push(self, version: str) -> int:
        from edge.cli.main import main

        words = [
            "fleet",
            "--site",
            str(self.site.folder / "site"),
            "push",
            version,
            "--to",
            "kitchen",
            "--wait",
            "5m",
        ]
        return main([*words, "--join", str(self.operator), *map(str, self.signing)])

    def validations(self) -> int:
        """How often the validation socket was connected to."""
        return int(self.box.container.show(SOCKET, "NAccepted"))


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    folder = tmp_path_factory.mktemp("push")
    secret = folder / "passphrase"
    secret.write_text("correct horse\n")
    hub = Hub(folder)
    with FleetSite(folder / "home") as site, booted("bookworm", folder) as box:
        site.fleet("keys", "init", "--url", hub.url, "--ca", hub.cert, "--passphrase-file", secret)
        hub.start(folder / "home" / "site" / "models" / "hub")
        site.fleet("enrol", "kitchen", "--out", folder / "kitchen.join")
        operator = site.join("desk", "operator")
        box.outside("/root/kitchen.join").write_bytes((folder / "kitchen.join").read_bytes())
        box.container.run(
            "/mnt/roomtone/provisioning/install.sh --join /root/kitchen.join --accept-unconfirmed --wait 0"
        )
        # What a test cannot wait for, and what a container cannot know; where models come from was in the join file.
        quick = {
            "clock": '"trusted"',
            "jitter_s": "0.0",
            "probation_minutes": "0.0",
            "probation_utterances": "3",
        }
        for key, value in quick.items():
            box.container.run(f"sed -i 's|^#{key} = .*|{key} = {value}|' /etc/roomtone/roomtone.toml")
            assert f"\n{key} = {value}\n" in box.outside("/etc/roomtone/roomtone.toml").read_text()
        box.container.run(f"systemctl restart {LINK} {EAR}")
        ended = threading.Event()
        speaker = threading.Thread(target=_speak, args=(box, ended))
        speaker.start()
        try:
            yield Pushed(
                box=box,
                site=site,
                made=folder / "made",
                operator=operator,
                signing=("--passphrase-file", secret),
            )
        finally:
            ended.set()
            speaker.join()
            hub.stop()


def _speak(box: Box, ended: threading.Event) -> None:
    """Somebody is always saying something."""
    while not ended.is_set():
        box.microphone.play(VOICE)
        ended.wait(1.0)


def test_a_push_goes_through_the_gate_of_systemd_and_the_box_switches(pushed: Pushed) -> None:
    box = pushed.box
    assert box.container.show(SOCKET, "ActiveState") == "active"
    assert pushed.validations() == 0
    ear = box.container.pid(EAR)
    pushed.publish(shipped.relabelled(pushed.made, "9.3.0"))
    assert pushed.push("9.3.0") == 0
    now = pushed.state()
    assert (now["current"]["name"], now.get("probation"), now["floor"]) == ("base-9.3.0", None, 1)
    assert pushed.validations() == 1, "the service has validated it, and no child of the link"
    seconds_until(
        lambda: (
            "model: base-9.3.0"
            in box.container.run(f"journalctl --no-pager --namespace=roomtone-ear -u {EAR}")
        ),
        10,
        "the ear has swapped",
    )
    assert box.container.pid(EAR) == ear, "the ear was not restarted"
    assert box.container.run("systemctl list-units --failed --plain --no-legend 'roomtone-*'").strip() == ""
    said = box.container.run("roomtone model status")
    assert "base-9.3.0" in said


def test_what_decides_is_readable_by_the_link_and_writable_by_root_alone(pushed: Pushed) -> None:
    """No trust on first use: the root came with the join file."""
    box = pushed.box
    root = "/etc/roomtone/credentials/models-root.json"
    assert box.container.run(f"stat -c '%U %a' {root} $(dirname {root})").split() == [
        "root",
        "644",
        "root",
        "700",
    ]
    tried = box.container.run(f"runuser -u roomtone-link -- sh -c 'echo x >> {root}' 2>&1 || true")
    assert "Permission denied" in tried

    rights = box.container.run(
        f"nsenter -t {box.container.pid(LINK)} -m stat -c %a /run/credentials/{LINK}/site_models-root.json"
    )
    assert int(rights.strip(), 8) & 0o222 == 0


def test_a_model_that_crashes_the_interpreter_dies_in_the_gate_alone(pushed: Pushed) -> None:
    box = pushed.box
    before, ear, link = pushed.validations(), box.container.pid(EAR), box.container.pid(LINK)
    pushed.publish(tiny.make(pushed.made, "9.6.6", model=tiny.crashing()))
    assert pushed.push("9.6.6") == 2
    now = pushed.state()
    assert now["current"]["name"] == "base-9.3.0"
    assert "validation crashed with this model" in now["error"]
    assert now["refused_models"][0]["name"] == "base-9.6.6"
    assert pushed.validations() == before + 2, "one crash may be chance, so validation is repeated"
    assert (box.container.pid(EAR), box.container.pid(LINK)) == (ear, link)
