"""A real link process, a client of its socket in the place of the ear, and a real subscriber."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from ulid import ULID

from edge import protocol
from edge.protocol import (
    Event,
    InfoReport,
    MicSignal,
    UtteranceReport,
)
from tests.support.messages import EAR_INFO, utterance
from tests.support.process import RoomtoneProcess, options
from tests.support.waiting import until

PROBES = "/fleet/probe/"
"""Part of the topics of `edge.mqtt.retained_probe`."""


class LinkProcess(RoomtoneProcess):
    """`roomtone link` for a node and a broker on this machine."""

    def __init__(self, folder: Path, port: int, node: str = "kitchen", settings: tuple[str, ...] = ()):
        self.socket = folder / f"{node}.sock"
        self.node = node
        given = (f"runtime.socket={self.socket}", f"node.id={node}", f"mqtt.port={port}", *settings)
        super().__init__(folder, "link", *options(given))

    @property
    def mqtt_versions(self) -> list[str]:
        """The version of MQTT of each connection."""
        return [line.split()[4] for line in self.coded("connected")]


class EarClient:
    """Speaks the contract over the socket; `acks` and `orders` fill by themselves."""

    def __init__(self, path: Path, greet: bool = True, session: str = "5e5510000000f00d", first: int = 1):
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.connect(str(path))
        self.acks: list[int] = []
        self.commands: list[protocol.EarCommand] = []
        self.over = threading.Event()
        self._reported = first - 1
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if greet:
            self.say(InfoReport(EAR_INFO, session, first))
            self.say(MicSignal("ok"))

    def say(self, message: protocol.EarMessage) -> None:
        self._channel.send(protocol.encode(message))

    def raw(self, data: bytes) -> None:
        self._channel.send(data)

    def tell(self, one: UtteranceReport) -> UtteranceReport:
        self.say(one)
        return one

    def report(self, label: str = "angry", age_s: float = 0.0, arousal: float = 0.9) -> UtteranceReport:
        """Tell of a short utterance that ended so many seconds ago; they have to come in the order of time."""
        time.sleep(0.3)
        self._reported += 1
        started = int((time.monotonic() - age_s - 0.27) * 1000 / protocol.BLOCK_MS)
        steps = round(arousal * protocol.AROUSAL_STEPS)
        return self.tell(utterance(self._reported, label, started=started, length=8, arousal=steps))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._channel.recv(protocol.MAX_EAR_COMMAND_BYTES):
                message = protocol.decode_ear_command(data)
                if isinstance(message, protocol.Ack):
                    self.acks.append(message.n)
                else:
                    self.commands.append(message)
        self.over.set()

    def __enter__(self) -> EarClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscriber:
    """Receives everything below `roomtone/` with a session that the broker keeps."""

    def __init__(self, port: int, name: str = "", topics: str = "roomtone/#", clean: bool = True):
        self.messages: list[paho.MQTTMessage] = []
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name or f"subscriber-{ULID()}", protocol=paho.MQTTv5
        )
        self._client.reconnect_delay_set(0.2, 0.5)
        self._client.on_message = lambda _c, _d, message: self._note(message)
        ready = threading.Event()
        self._client.on_connect = lambda c, *_: c.subscribe(topics, 1)
        self._client.on_subscribe = lambda *_: ready.set()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        self._client.connect("127.0.0.1", port, clean_start=clean, properties=properties)
        self._client.loop_start()
        assert ready.wait(5)

    def _note(self, message: paho.MQTTMessage) -> None:
        # Programs ask the broker what it can do, seconds after their start: that is none of a device's messages.
        if PROBES not in message.topic:
            self.messages.append(message)

    def of(self, leaf: str) -> list[paho.MQTTMessage]:
        return [m for m in self.messages if m.topic.endswith("/" + leaf)]

    def events(self) -> list[Event]:
        """In the order of arrival; the mark of a machine whose clock no time service keeps is left out."""
        found = [protocol.decode_event(m.payload) for m in self.of("event")]
        return [msgspec.structs.replace(e, clock=msgspec.UNSET) for e in found]

    def numbers(self) -> list[int]:
        """The sequence numbers in the order of arrival, with doubles."""
        return [event.seq for event in self.events()]

    def seqs(self) -> list[int]:
        """In the order of arrival, without doubles."""
        return list(dict.fromkeys(e.seq for e in self.events()))

    def last(self, leaf: str) -> str:
        found = self.of(leaf)
        return found[-1].payload.decode() if found else ""

    def command(self, verb: str, node: str = "kitchen", retain: bool = False, **body: object) -> str:
        body.setdefault("transaction", f"t{time.monotonic_ns()}")
        self.publish(f"roomtone/{node}/cmd/{verb}", json.dumps(body), retain)
        return str(body["transaction"])

    def publish(self, topic: str, payload: str | bytes, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def answer(self, verb: str, transaction: str, seconds: float = 10.0) -> protocol.Response:
        def found() -> list[protocol.Response]:
            answers = [
                msgspec.json.decode(m.payload, type=protocol.Response) for m in self.of(f"resp/{verb}")
            ]
            return [a for a in answers if a.transaction == transaction]

        until(found, seconds, f"answer to {verb}")
        return found()[0]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
