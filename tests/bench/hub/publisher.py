"""Many rooms in one connection: events at a rate, with QoS 1."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterable

import numpy as np
from ulid import ULID

from edge import protocol as contract
from tests.bench.hub.tools import until
from tests.support.messages import event_of, timestamp

TICK_S = 0.05


class Publisher:
    """MQTT 3.1.1 with QoS 1 by hand: a client library would need more of the two cores than what is measured."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench")
        assert self._socket.recv(4) == b"\x20\x02\x00\x00"
        self.acknowledged = 0
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, messages: Iterable[tuple[bytes, bytes]], number: int) -> None:
        """Topics and payloads; `number` is that of the first of them."""
        packets = bytearray()
        for topic, payload in messages:
            length = len(topic) + len(payload) + 4
            head = bytes((0x32, length & 127 | 128, length >> 7))
            packets += (
                head + struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65535 + 1) + payload
            )
            number += 1
        self._socket.sendall(packets)

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        rest = 0
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            rest += len(data)
            self.acknowledged, rest = self.acknowledged + rest // 4, rest % 4


def publish(publisher: Publisher, rate: int, rooms: int, seconds: float) -> int:
    """Sends at a rate, in turn for each room; how many. Returns when the broker has acknowledged all."""
    rng = np.random.default_rng(1)
    seqs = [0] * rooms
    topics = [f"roomtone/room-{n}/event".encode() for n in range(rooms)]
    fields = json.loads(contract.encode(event_of("happy", 0.0))) | {
        "id": "@id@",
        "seq": "@seq@",
        "started_at": "@at@",
    }
    template = json.dumps(fields, separators=(",", ":")).replace('"@seq@"', "@seq@")
    begin, total = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        due = int((elapsed + TICK_S) * rate) - total
        now = time.time()
        head, at = round(now * 1000).to_bytes(6, "big"), timestamp(now)
        batch = []
        for n in range(total, total + due):
            room = n % rooms
            seqs[room] += 1
            number = str(ULID.from_bytes(head + rng.bytes(10)))
            text = template.replace("@id@", number).replace("@seq@", str(seqs[room])).replace("@at@", at)
            batch.append((topics[room], text.encode()))
        publisher.send(batch, total)
        total += due
        # The receive maximum of MQTT 3.1.1 is 65,535 packets.
        while total - publisher.acknowledged > 30_000:
            time.sleep(0.01)
        time.sleep(max(0.0, begin + elapsed + TICK_S - time.monotonic()))
    until(lambda: publisher.acknowledged >= total, 120)
    return total
