"""`roomtone hub simulate`: fills the database with simulated rooms, to see the pages with data."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from dashboard.admin.options import add_database
from edge.util import timestamps
from edge.util.errors import UserError


def register(verbs: Any) -> None:
    """Add `simulate` to the commands of `roomtone hub`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "simulate",
        help="fill the database with simulated rooms, to see the pages with data",
        description="Fills the database with simulated rooms (their ids begin with `sim-`), the same for each seed.",
    )
    add_database(parser)
    parser.add_argument(
        "--rooms", type=int, default=12, metavar="N", help="how many rooms (default: %(default)s)"
    )
    parser.add_argument(
        "--days", type=int, default=30, metavar="N", help="how many days, up to now (default: %(default)s)"
    )
    parser.add_argument(
        "--per-day",
        type=int,
        default=150,
        metavar="N",
        help="utterances of a room in a day (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="the same seed makes the same data (default: %(default)s)",
    )
    parser.add_argument("--until", metavar="TIME", help="last moment of the data, as ISO 8601 (default: now)")
    parser.add_argument("--remove", action="store_true", help="delete the simulated rooms instead")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Store simulated events, or delete the simulated rooms again. Raises `UserError`."""
    for name, most in (("rooms", 10_000), ("days", 3650), ("per_day", 20_000)):
        if not 1 <= getattr(options, name) <= most:
            raise UserError(f"--{name.replace('_', '-')}: from 1 to {most}")
    try:
        until = timestamps.parse(options.until) if options.until else datetime.now(UTC)
    except ValueError:
        raise UserError(f"--until {options.until}: write 2026-01-01T10:00:00Z") from None
    from dashboard.admin.database import open_database
    from dashboard.admin.simulate import fill, simulated_rooms
    from dashboard.db import retention

    rooms = simulated_rooms(options.rooms, options.seed)
    begin, done = time.monotonic(), 0
    with open_database(options.database, create=not options.remove) as engine:
        if options.remove:
            done = sum(retention.erase_room(engine, room.node) for room in rooms)
        else:
            filled = fill(
                engine,
                rooms,
                until.timestamp(),
                days=options.days,
                per_day=options.per_day,
                seed=options.seed,
            )
            for number, (room, new) in enumerate(filled, 1):
                done += new
                if sys.stderr.isatty():
                    bar = "#" * (40 * number // len(rooms))
                    print(f"\r[{bar:<40}] {room.node:<30}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and not options.remove:
        print(file=sys.stderr)
    if options.remove:
        print(f"{done} simulated rooms removed")
    else:
        print(f"{done} utterances in {len(rooms)} rooms, {time.monotonic() - begin:.1f} s")
    return 0
