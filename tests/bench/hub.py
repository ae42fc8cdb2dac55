"""`./run bench hub`: the recorder under load, and how long a room's month takes to draw.

A real mosquitto, the recorder as its own process, publishers with QoS 1. Every event is counted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, func, select
from ulid import ULID

from dashboard.history import History, zone_of
from dashboard.operate.simulate import Place, fill
from dashboard.recorder.database import connect, migrate
from dashboard.recorder.tables import events, quarters
from edge import contract
from tests.broker import Broker
from tests.postgres import Postgres, programs
from tests.unit.dashboard.events import event, timestamp

CONFIG = """allow_anonymous true
max_inflight_messages 2000
max_queued_messages 200000
max_queued_bytes 134217728
"""
TICK_S = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench hub", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="events a second (default: %(default)s)")
    parser.add_argument("--rooms", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=300, help="(default: %(default)s)")
    parser.add_argument(
        "--month", type=int, default=100_000, help="events of the month (default: %(default)s)"
    )
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for kind in ("sqlite", "postgresql"):
        if options.only not in (None, kind):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-hub-") as folder:
            server = None
            url = f"sqlite:///{folder}/events.db"
            if kind == "postgresql":
                found = programs()
                if found is None:
                    continue
                server = Postgres(found)
                url = server.start().url
            try:
                result[kind] = {"load": load(url, Path(folder), options), "month": month(url, options.month)}
            finally:
                if server is not None:
                    server.stop()
        if not options.json:
            show(kind, result[kind])
    if options.json:
        print(json.dumps(result))
    return 0 if all(r["load"]["lost"] == 0 and r["load"]["doubled"] == 0 for r in result.values()) else 1


def load(url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Publishes, waits until all is written, counts."""
    engine = connect(url)
    migrate(engine)
    with Broker(CONFIG, folder=folder) as broker, (folder / "recorder.log").open("wb") as log:
        command = [sys.executable, "-m", "edge.cli", "recorder", "--broker", broker.url, "--database", url]
        recorder = subprocess.Popen(command, stderr=log)
        publisher = Publisher(broker.host, broker.port)
        try:
            _until(lambda: "connected to" in (folder / "recorder.log").read_text(), 30)
            began = time.monotonic()
            total = _publish(publisher, options)
            published = time.monotonic() - began
            _until(lambda: _count(engine) >= total, 300)
            drained = time.monotonic() - began - published
            usage = _cpu(recorder.pid)
        finally:
            publisher.close()
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(20)
        with engine.connect() as connection:
            ids = connection.execute(select(func.count(events.c.id.distinct()))).scalar_one()
            sums = connection.execute(select(func.sum(quarters.c.count))).scalar_one()
            # A hundredth: how long from the publisher's clock to the row.
            late = connection.execute(
                select(events.c.received - events.c.at).where(events.c.room_id % 100 == 0)
            ).scalars()
            lags = sorted(late)
    engine.dispose()
    return {
        "published": total,
        "rate": round(total / published),
        "lost": total - ids,
        "doubled": int(sums) - total,
        "drained_s": round(drained, 1),
        "received_after_ms_p95": lags[int(0.95 * len(lags))] if lags else None,
        "recorder_cpu_s": round(usage, 1),
    }


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


def _publish(publisher: Publisher, options: argparse.Namespace) -> int:
    rng = np.random.default_rng(1)
    seqs = [0] * options.rooms
    topics = [f"roomtone/room-{n}/event".encode() for n in range(options.rooms)]
    fields = json.loads(contract.encode(event("happy", 0.0))) | {
        "id": "@id@",
        "seq": "@seq@",
        "started_at": "@at@",
    }
    template = json.dumps(fields, separators=(",", ":")).replace('"@seq@"', "@seq@")
    begin, total = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < options.seconds:
        due = int((elapsed + TICK_S) * options.rate) - total
        now = time.time()
        head, at = round(now * 1000).to_bytes(6, "big"), timestamp(now)
        batch = []
        for n in range(total, total + due):
            room = n % options.rooms
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
    _until(lambda: publisher.acknowledged >= total, 120)
    return total


def month(url: str, count: int) -> dict[str, Any]:
    """Milliseconds for the charts and the list of a room with so many events in 30 days."""
    engine = connect(url)
    place = Place("month", "Month", "home", (0.5, 0.2, 0.06, 0.12, 0.04, 0.04, 0.04), 1.0)
    written = sum(n for _, n in fill(engine, [place], time.time(), days=30, per_day=count // 28, seed=1))
    if engine.dialect.name == "postgresql":
        with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("vacuum analyze")
    engine.dispose()
    history = History(connect(url, read_only=True))
    zone = zone_of("Europe/Madrid")
    charts = [_time(lambda: history.room("month", zone, datetime.now(UTC))) for _ in range(15)]
    lists = [_time(lambda: history.utterances("month", round(time.time() * 1000))) for _ in range(15)]
    return {
        "events": written,
        "charts_ms": round(statistics.median(charts), 1),
        "charts_ms_worst": round(max(charts), 1),
        "list_ms": round(statistics.median(lists), 1),
    }


def _time(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def _count(engine: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(quarters.c.count), 0))).scalar_one())


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until(condition: Callable[[], bool], within: float) -> None:
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it did not happen in time")
        time.sleep(0.5)


def show(kind: str, result: dict[str, Any]) -> None:
    """For people."""
    load, drawn = result["load"], result["month"]
    print(
        f"{kind}: {load['published']} events at {load['rate']}/s: {load['lost']} lost, {load['doubled']} doubled"
    )
    print(
        f"  the last one written {load['drained_s']} s after it was sent; recorder {load['recorder_cpu_s']} s of CPU"
    )
    print(f"  received by the recorder within {load['received_after_ms_p95']} ms (p95)")
    print(
        f"  a month of {drawn['events']} events: charts {drawn['charts_ms']} ms (worst {drawn['charts_ms_worst']}), "
        f"list {drawn['list_ms']} ms; wanted: 500 ms"
    )


if __name__ == "__main__":
    sys.exit(main())
