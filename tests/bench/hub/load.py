"""The recorder under load: a real mosquitto, the recorder as its own process, every event counted at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import events, quarters
from tests.bench.hub.publisher import Publisher, publish
from tests.bench.hub.tools import cpu, cpu_of_all, cpu_of_threads, resident_mb, until
from tests.bench.machine import Others
from tests.support.broker import Broker

CONFIG = """allow_anonymous true
max_inflight_messages 2000
max_queued_messages 200000
max_queued_bytes 134217728
"""


def load(url: str, folder: Path, rate: int, rooms: int, seconds: float) -> dict[str, Any]:
    """Publishes, waits until all is written, counts."""
    engine = connect(url)
    migrate(engine)
    with Broker(CONFIG, folder=folder) as broker, (folder / "recorder.log").open("wb") as log:
        command = [
            sys.executable,
            "-m",
            "edge.cli.main",
            "recorder",
            "--broker",
            broker.url,
            "--database",
            url,
        ]
        recorder = subprocess.Popen(command, stderr=log)
        publisher = Publisher(broker.host, broker.port)
        try:
            until(lambda: "ready" in (folder / "recorder.log").read_text(), 60)
            used = {
                "recorder": -cpu(recorder.pid),
                "broker": -cpu(broker.pid),
                "database": -cpu_of_all("postgres"),
            }
            before = cpu_of_threads(recorder.pid)
            others, own = Others(), time.process_time()
            began = time.monotonic()
            total = publish(publisher, rate, rooms, seconds)
            published = time.monotonic() - began
            until(lambda: _count(engine) >= total, 600)
            drained = time.monotonic() - began - published
            used["recorder"] += cpu(recorder.pid)
            threads, recorder_mb = cpu_of_threads(recorder.pid), resident_mb(recorder.pid)
            used["broker"] += cpu(broker.pid)
            used["database"] += cpu_of_all("postgres")
            used["publisher"] = time.process_time() - own
            busy = others.cores(sum(used.values()))
        finally:
            publisher.close()
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(60)
        ids, sums, lags = _written(engine)
    engine.dispose()
    return {
        "published": total,
        "rate": round(total / published),
        "lost": total - ids,
        "doubled": sums - total,
        "drained_s": round(drained, 1),
        "received_after_ms_p95": lags[int(0.95 * len(lags))] if lags else None,
        "cpu_us_per_event": {name: round(1e6 * spent / total) for name, spent in used.items()},
        # Its main thread checks and writes, its other one receives.
        "recorder_us_per_event": {
            "writing": round(1e6 * (threads[0] - before[0]) / total),
            "receiving": round(1e6 * (threads[1] - before[1]) / total),
        },
        "recorder_mb": round(recorder_mb),
        "others_cores": round(busy, 2),
    }


def _written(engine: Any) -> tuple[int, int, list[int]]:
    """Different events, their number by the sums, and how late they came, in ms, sorted."""
    with engine.connect() as connection:
        ids = connection.execute(select(func.count(events.c.id.distinct()))).scalar_one()
        sums = connection.execute(select(func.sum(quarters.c.count))).scalar_one()
        # A hundredth: how long from the publisher's clock to the row.
        late = connection.execute(
            select(events.c.received - events.c.at).where(events.c.room_id % 100 == 0)
        ).scalars()
        lags = sorted(late)
    return ids, int(sums), lags


def _count(engine: Any) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(quarters.c.count), 0))).scalar_one())
