"""`./run bench hub`: the figures of the hub, which `tests.bench.options` describes."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import options as command_line
from tests.bench.hub.load import load
from tests.bench.hub.memory import memory
from tests.bench.hub.month import month
from tests.bench.machine import as_installed
from tests.support.machines.postgres import Postgres, programs


def main() -> int:
    options = command_line.hub().parse_args()
    as_installed()
    result: dict[str, Any] = {}
    for kind in ("sqlite", "postgresql"):
        if options.only not in (None, "month", kind):
            continue
        found = on_database(kind, options)
        if found is None:
            continue
        result[kind] = found
        if not options.json:
            if "load" in result[kind]:
                show_load(kind, result[kind]["load"])
            show_month(kind, result[kind]["month"])
    if options.only in (None, "memory"):
        result["memory"] = memory()
        if not options.json:
            show_memory(result["memory"])
    if options.only in (None, "pages"):
        # Browsers: not for those who measure something else.
        from tests.bench.hub.pages import first_tile, pages

        result["pages"] = pages(options.sockets, options.browsers, min(60.0, options.seconds))
        result["pages"]["first_tile"] = first_tile(options.rounds)
        if not options.json:
            show_pages(result["pages"])
    if options.json:
        print(json.dumps(result))
    loads = [result[kind]["load"] for kind in ("sqlite", "postgresql") if "load" in result.get(kind, {})]
    return 0 if all(load["lost"] == load["doubled"] == 0 for load in loads) else 1


def on_database(kind: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """What is measured on one kind of database; None: its programs are not installed."""
    with tempfile.TemporaryDirectory(prefix="bench-hub-") as folder:
        server = None
        url = f"sqlite:///{folder}/events.db"
        if kind == "postgresql":
            found = programs()
            if found is None:
                return None
            server = Postgres(found)
            url = server.start().url
        try:
            result: dict[str, Any] = {}
            if options.only != "month":
                result["load"] = load(url, Path(folder), options.rate, options.rooms, options.seconds)
            return result | {"month": month(url, options.month)}
        finally:
            if server is not None:
                server.stop()


def show_load(kind: str, load: dict[str, Any]) -> None:
    """For people."""
    print(
        f"{kind}: {load['published']} events at {load['rate']}/s: {load['lost']} lost, {load['doubled']} doubled"
    )
    spent = ", ".join(f"{name} {us}" for name, us in load["cpu_us_per_event"].items())
    print(f"  the last one written {load['drained_s']} s after it was sent; us of CPU for each: {spent}")
    threads = ", ".join(f"{name} {us}" for name, us in load["recorder_us_per_event"].items())
    print(f"  threads of the recorder: {threads} us; {load['recorder_mb']} MB resident at the end")
    print(
        f"  received by the recorder within {load['received_after_ms_p95']} ms (p95); "
        f"other work on this machine: {load['others_cores']} cores"
    )


def show_month(kind: str, drawn: dict[str, Any]) -> None:
    """For people."""
    print(
        f"{kind}: a month of {drawn['events']} events: charts {drawn['charts_ms']} ms "
        f"(worst {drawn['charts_ms_worst']}, of which CPU {drawn['charts_cpu_ms_worst']}), "
        f"list {drawn['list_ms']} ms (worst {drawn['list_ms_worst']}); "
        "wanted: 500 ms"
    )


def show_memory(result: dict[str, Any]) -> None:
    """For people."""
    print(
        f"memory: recorder {result['recorder_mb']} MB, dashboard {result['dashboard_mb']} MB, together with shared "
        f"pages counted once {result['together_mb']} MB; wanted: 150 MB"
    )


def show_pages(result: dict[str, Any]) -> None:
    """For people."""
    print(
        f"{result['sockets']} sockets and {result['browsers']} browsers, {result['events']} events, {result['missed']} "
        f"missed; dashboard {result['dashboard_cpu_s']} s of CPU; other work: {result['others_cores']} cores"
    )
    for kind in ("socket", "browser"):
        if (figures := result[kind]) is not None:
            print(
                f"  event to {kind}: {figures['p50_ms']} ms (p50), {figures['p95_ms']} (p95), {figures['worst_ms']} "
                "(worst); wanted: p95 below 300 ms"
            )
    tile = result["first_tile"]
    print(
        f"  first tile: {tile['cold_s']} s in a new browser (worst {tile['cold_s_worst']}; wanted: 1.0), "
        f"{tile['warm_s']} s again (worst {tile['warm_s_worst']}; wanted: 0.3)"
    )
    print(
        f"  dashboard: {tile['dashboard_mb']} MB resident, {result['dashboard_mb']} MB with all of them open; "
        "wanted: 90 MB"
    )


if __name__ == "__main__":
    sys.exit(main())
