"""A room device for these tests: the real link and the real ear as users start them, with a room of recorded voices."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SPEECH
from tests.support.link import Subscriber
from tests.support.process import RoomtoneProcess, options
from tests.support.site.publishing import Server, Site

VOICES = ("goforward.raw", "numbers.raw", "something.raw")
"""One utterance each, of 1.7, 2.9 and 1.7 s: from their lengths it is seen when one is missing."""
LONG_MS = 2300


class Device:
    """Link and ear in a folder of their own. `settings` go to both."""

    def __init__(
        self,
        folder: Path,
        node: str,
        port: int,
        factory: Path,
        site: Site,
        server: Server,
        **settings: object,
    ) -> None:
        folder.mkdir()
        self.folder, self.node = folder, node
        room = folder / "room"
        room.mkdir()
        for name in VOICES:
            if not (SPEECH / name).exists():
                pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
            shutil.copy(SPEECH / name, room / name)
        (folder / "ear").mkdir()
        given: dict[str, object] = {
            "runtime.socket": folder / "link.sock", "runtime.ear_state_dir": folder / "ear",
            "node.id": node, "mqtt.port": port, "model.bundle": factory, "homeassistant.discovery": False,
            "audio.source": "playback", "audio.playback_dir": room, "audio.speed": 4.0, "audio.gap_s": 0.6,
            "updates.url": server.url, "updates.root_file": site.root, "updates.ca_file": server.cert,
            "updates.clock": "trusted", "updates.dir": folder / "models", "updates.jitter_s": 0,
            "updates.probation_minutes": 0, "updates.probation_utterances": 2,
            "updates.validation_socket": folder / "no.sock",
        }  # fmt: skip
        given |= {name.replace("__", "."): value for name, value in settings.items()}
        self.programs = {name: RoomtoneProcess(folder, name, *options(given)) for name in ("link", "ear")}

    def start(self, *which: str) -> Device:
        for name in which or ("link", "ear"):
            self.programs[name].start(wait=False)
        return self

    def log(self, name: str = "link") -> str:
        return self.programs[name].log

    def stop(self, *which: str) -> None:
        for name in which or ("ear", "link"):
            if self.programs[name].running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.programs[name].stop()
            self.programs[name].kill()

    def kill(self, name: str) -> None:
        self.programs[name].kill()


def status(home: Subscriber, node: str) -> dict[str, Any]:
    """The last of `B/N/model`."""
    for message in reversed(home.messages):
        if message.topic == f"roomtone/{node}/model":
            return dict(json.loads(message.payload))
    return {}


def states(home: Subscriber, node: str) -> list[str]:
    """All of them in order, without doubles in a row."""
    found: list[str] = []
    for message in home.messages:
        if message.topic == f"roomtone/{node}/model":
            one = json.loads(message.payload)["state"]
            if not found or found[-1] != one:
                found.append(one)
    return found


def events(home: Subscriber, node: str) -> list[dict[str, Any]]:
    """In the order of arrival."""
    return [json.loads(m.payload) for m in home.messages if m.topic == f"roomtone/{node}/event"]


def complete(home: Subscriber, node: str) -> bool:
    """Whether every utterance of the room was heard, once, since the start of the ear: none lost, none cut in two.

    The ear's own numbers have no gaps, and the long utterance is every third one, beginning with the second.
    """
    seen: dict[str, dict[int, int]] = {}
    for event in events(home, node):
        seen.setdefault(event["boot"], {})[event["seq"]] = event["duration_ms"]
    return all(
        set(lengths) == set(range(1, max(lengths) + 1))
        and all((lengths[number] > LONG_MS) == (number % 3 == 2) for number in lengths)
        for lengths in seen.values()
    )


def switched_at(home: Subscriber, node: str, model: str) -> float:
    """When the box said for the first time that its ear runs this model: seconds since the last announcement."""
    announced = [m.timestamp for m in home.messages if m.topic == "roomtone/fleet/announce"][-1]
    for message in home.messages:
        if message.topic == f"roomtone/{node}/model" and json.loads(message.payload)["model"] == model:
            return float(message.timestamp - announced)
    raise AssertionError(f"{node} has never run {model}")
