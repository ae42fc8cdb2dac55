"""CPU time, and waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_of_threads(pid: int) -> tuple[float, float]:
    """Seconds of CPU of a process's main thread, and of its other threads together."""
    main = others = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        spent = (int(fields[11]) + int(fields[12])) / TICKS
        main, others = (main + spent, others) if task.name == str(pid) else (main, others + spent)
    return main, others


def shared_mb(pid: int) -> float:
    """Megabytes of memory of a process, a page that several processes have counted by its share (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process has resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_of_all(name: str) -> float:
    """The same of all processes of a name: a server's workers."""
    total = 0.0
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if (place / "comm").read_text().strip() == name:
                    total += cpu(int(place.name))
            except OSError:
                continue  # It has just ended.
    return total


def until(condition: Callable[[], bool], within: float) -> None:
    """Waits. Raises `SystemExit` when it does not happen."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it did not happen in time")
        time.sleep(0.2)
