"""Resident memory of dashboard and recorder together, on one database, as a hub at home has them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from edge import protocol
from tests.bench.hub.tools import resident_mb, shared_mb
from tests.support.broker import Broker
from tests.support.dashboard import Dashboard, Recorder, Rooms, health
from tests.support.messages import event_of
from tests.support.waiting import until

ROOMS, EVENTS = 12, 20


def memory() -> dict[str, float]:
    """Megabytes after some events of a dozen rooms: each process alone, and together with shared pages counted once."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name, Broker() as broker:
        folder = Path(name)
        rooms = Rooms(broker)
        with Recorder(broker, folder) as recorder:
            database = f"sqlite:///{recorder.file}"
            dashboard = Dashboard(folder, "--broker", broker.url, "--database", database)
            try:
                url = dashboard.address()
                until(lambda: health(url)["broker"] == "connected")
                for n in range(ROOMS):
                    rooms.appear(f"room-{n}", f"Room {n}")
                for seq in range(1, EVENTS + 1):
                    for n in range(ROOMS):
                        rooms.publish(f"room-{n}", protocol.EVENT, event_of("neutral", time.time(), seq=seq))
                until(lambda: recorder.count() == ROOMS * EVENTS, 60)
                time.sleep(2)
                pids = recorder.pid, dashboard.pid
                return {
                    "recorder_mb": round(resident_mb(pids[0]), 1),
                    "dashboard_mb": round(resident_mb(pids[1]), 1),
                    "together_mb": round(sum(map(shared_mb, pids)), 1),
                }
            finally:
                rooms.close()
                dashboard.kill()
