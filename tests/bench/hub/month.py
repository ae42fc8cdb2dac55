"""How long a room's month takes to draw, at the server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import create_engine

from dashboard.admin.simulate import SimulatedRoom, fill
from dashboard.db.engine import connect
from dashboard.db.history import History, zone_of
from dashboard.db.periods import Periods
from dashboard.db.schema import migrate

ROUNDS = 50


def month(url: str, count: int) -> dict[str, Any]:
    """Milliseconds for the charts and the list of a room with so many events in 30 days."""
    engine = connect(url)
    migrate(engine)
    place = SimulatedRoom("month", "Month", "home", (0.5, 0.2, 0.06, 0.12, 0.04, 0.04, 0.04), 1.0)
    written = sum(n for _, n in fill(engine, [place], time.time(), days=30, per_day=count // 28, seed=1))
    if engine.dialect.name == "postgresql":
        with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("vacuum analyze")
    engine.dispose()
    history = History(connect(url, read_only=True))
    zone = zone_of("Europe/Madrid")
    now = round(time.time() * 1000)
    periods = Periods(connect(url, read_only=True))
    end = datetime.now(zone)
    span = end - timedelta(days=30), end
    charts = [_time(lambda: periods.period("month", span, "day")) for _ in range(ROUNDS)]
    lists = [_time(lambda: history.utterances("month", now)) for _ in range(ROUNDS)]
    return {
        "events": written,
        "charts_ms": round(statistics.median(wall for wall, _ in charts), 1),
        "charts_ms_worst": round(max(wall for wall, _ in charts), 1),
        "charts_cpu_ms_worst": round(max(used for _, used in charts), 1),
        "list_ms": round(statistics.median(wall for wall, _ in lists), 1),
        "list_ms_worst": round(max(wall for wall, _ in lists), 1),
    }


def _time(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock, and of this process's CPU."""
    begin, used = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - begin) * 1000, (time.process_time() - used) * 1000
