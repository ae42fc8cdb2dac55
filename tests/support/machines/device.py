"""A room device in a container, and around it what a real one has: a microphone, a broker, a subscriber."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.protocol import Event, decode_event
from tests.support.broker import Broker
from tests.support.machines import container as containers
from tests.support.machines.container import Container
from tests.support.machines.microphone import VirtualMicrophone

ASOUND = 'pcm.!default { type pulse server "unix:/run/roomtone-sound/native" }\n'
VOICE = "goforward.raw"
BACK_S = 10.0
"""Within this time events must flow again, with no hand laid on."""


class Subscriber:
    """Everything that the broker gives out, in order, with the time at which it came."""

    def __init__(self, broker: Broker) -> None:
        self.messages: list[tuple[float, str, bytes]] = []
        self.events: queue.Queue[Event] = queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_message = self._on_message
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        self.messages.append((time.monotonic(), message.topic, bytes(message.payload)))
        if message.topic.endswith("/event"):
            self.events.put(decode_event(message.payload))

    def last(self, leaf: str) -> str:
        found = [payload for _, topic, payload in self.messages if topic.endswith(f"/{leaf}")]
        return found[-1].decode() if found else ""

    def forget_events(self) -> None:
        while not self.events.empty():
            self.events.get_nowait()

    def command(self, verb: str, **more: object) -> dict[str, object]:
        """Sends a command to the box and returns its answer."""
        transaction = f"t{time.monotonic_ns()}"
        self.client.publish(
            f"roomtone/kitchen/cmd/{verb}", json.dumps({"transaction": transaction, **more}), qos=1
        )
        end = time.monotonic() + 15
        while time.monotonic() < end:
            for _, topic, payload in reversed(self.messages):
                if (
                    topic.endswith(f"/resp/{verb}")
                    and (answer := json.loads(payload))["transaction"] == transaction
                ):
                    return dict(answer)
            time.sleep(0.05)
        raise AssertionError(f"no answer to {verb}")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Box:
    """The installed device."""

    def __init__(
        self, container: Container, microphone: VirtualMicrophone, broker: Broker, heard: Subscriber
    ) -> None:
        self.container = container
        self.microphone = microphone
        self.broker = broker
        self.heard = heard

    @property
    def installer(self) -> str:
        """The command that installs, with this broker."""
        return (
            "/mnt/roomtone/provisioning/install.sh "
            f"--broker mqtt://127.0.0.1:{self.broker.port} --node kitchen --wait 0"
        )

    def install(self, *options: str, check: bool = True) -> str:
        return self.container.run(" ".join((self.installer, *options)), check=check)

    def speak_until_heard(self, timeout_s: float) -> float:
        """Somebody speaks again and again; the seconds until an event of it is at the subscriber."""
        self.heard.forget_events()
        begun = time.monotonic()
        while time.monotonic() - begun < timeout_s:
            if self.microphone.server is not None:
                self.microphone.play(VOICE, wait=False)
            # The voice is 2.2 s long, and its utterance ends half a second later.
            end = min(time.monotonic() + 3.2, begun + timeout_s)
            while (left := end - time.monotonic()) > 0:
                try:
                    self.heard.events.get(timeout=left)
                except queue.Empty:
                    break
                return time.monotonic() - begun
        raise AssertionError(
            f"nothing was heard within {timeout_s} s; mic {self.heard.last('mic')}\n{self.container.journal()}"
        )

    def outside(self, path: str) -> Path:
        """A path of the running box, seen from here; also what is in its memory alone, as `/run` is."""
        return Path(f"/proc/{self.container.init}/root{path}")


@contextlib.contextmanager
def booted(suite: str, folder: Path) -> Iterator[Box]:
    """A fresh Debian with nothing of Roomtone in it; skips, or in CI fails, where none can be booted."""
    containers.require_container()
    bundle = containers.offline_bundle(suite)
    sound = folder / "socket"
    sound.mkdir(mode=0o755)
    for parent in (folder, *folder.parents[:2]):
        # Added to what is there: with a short --basetemp one of them is /tmp itself.
        parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o055)
    microphone = VirtualMicrophone(folder, sound / "native")
    microphone.start()
    work = containers.CACHE / f"work-{folder.name}-{os.getpid()}"
    with Broker() as broker, containers.overlay(containers.bare(suite), work) as root:
        (root / "etc/asound.conf").write_text(ASOUND)
        container = Container(root, {str(sound): "/run/roomtone-sound", str(bundle): "/mnt/roomtone"})
        heard = Subscriber(broker)
        try:
            container.boot()
            yield Box(container, microphone, broker, heard)
        finally:
            heard.close()
            container.halt()
            microphone.kill()
