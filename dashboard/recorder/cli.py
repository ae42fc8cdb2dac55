"""`roomtone recorder`: stores the events of all rooms in a database."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from typing import Any, Final

from edge.mqtt import options as mqtt_options
from edge.util.errors import UserError
from edge.util.service.stop_signals import call_on_signals

EPILOG: Final = """examples:
  roomtone recorder --broker mqtt://127.0.0.1 --database sqlite:////var/tmp/roomtone.db
  roomtone recorder --join main-recorder --database postgresql+psycopg://roomtone@db/roomtone --keep-days 30
"""


def register(subparsers: Any) -> None:
    """Add `roomtone recorder` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "recorder",
        help="store the events of all rooms in a database",
        description="Stores the events of all rooms in a database, each exactly once.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--database",
        required=True,
        metavar="URL",
        help="sqlite:////folder/file.db or postgresql+psycopg://user@host/name",
    )
    mqtt_options.add_options(parser)
    parser.add_argument(
        "--name", default="1", help="name of this recorder, where there are several (default: %(default)s)"
    )
    parser.add_argument(
        "--share",
        default="roomtone-recorder",
        metavar="GROUP",
        help="recorders of one group share the events; empty: no shared subscription (default: %(default)s)",
    )
    parser.add_argument(
        "--keep-days",
        type=int,
        default=90,
        metavar="N",
        help="days to keep single events (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Record events until SIGINT or SIGTERM; returns the exit status. Raises `UserError`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    import logging

    from edge.util import journal

    journal.configure("recorder", "info")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for option in ("name", "share"):
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,40}", getattr(options, option)):
            raise UserError(f"--{option}: use at most 40 letters, digits, `_` and `-`")
    if options.keep_days < 1:
        raise UserError("--keep-days: at least 1")
    broker, base_topic = mqtt_options.from_options(options)

    from dashboard.db.engine import connect
    from dashboard.db.lock import hold_shared
    from dashboard.db.schema import migrate, quick_check
    from dashboard.recorder.process import Recorder
    from dashboard.recorder.session import Session

    hold_shared(options.database)
    engine = connect(options.database)
    quick_check(engine)
    migrate(engine)
    session = Session(broker, base_topic, options.name, options.share)
    recorder = Recorder(engine, session, base_topic, options.keep_days)
    call_on_signals(recorder.stop)
    recorder.run(lambda: print("ready", file=sys.stderr, flush=True))
    engine.dispose()
    return 0
