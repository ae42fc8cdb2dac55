"""`roomtone model`: shows which model and baseline this device uses, deletes the baseline, rolls a release back."""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.config.options import add_config_options, config_from
from edge.util.errors import UserError

CONFIRM_S: Final = 3.0
"""A running ear checks for the file every second."""
POLL_S: Final = 0.1

EPILOG: Final = """examples:
  sudo roomtone model status
  sudo roomtone model status --json
  sudo roomtone model forget      delete the baseline; the ear may be running
  sudo roomtone model rollback    return to the previous model after a push

More: docs/privacy.md, docs/updates.md
"""


def register(subparsers: Any) -> None:
    """Add `roomtone model` with its actions."""
    parser = subparsers.add_parser(
        "model",
        help="show the model and the baseline of this device, delete the baseline, roll back",
        description="Shows which model and baseline this device uses, deletes the baseline, rolls a release back.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, text, run in (
        ("status", "show the model, its baseline and the pushed releases", run_status),
        ("forget", "delete the baseline of this room; the ear may be running", run_forget),
        ("rollback", "return to the previous model and never install this release again", run_rollback),
    ):
        action = actions.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"examples:\n  sudo roomtone model {name}\n  sudo roomtone model {name} --json\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_config_options(action)
        action.add_argument("--json", action="store_true", help="print one JSON object")
        action.set_defaults(run=run)


def run_status(options: argparse.Namespace) -> int:
    """Print the status. Raises `UserError`."""
    import msgspec

    from edge.cli.model_status import format_status, read_status

    status = read_status(config_from(options, installed=True))
    print(msgspec.json.encode(status).decode() if options.json else format_status(status))
    return 0


def run_rollback(options: argparse.Namespace) -> int:
    """Return to the previous model; a running link tells its ear within a second. Raises `UserError`."""
    from edge.releases.store.model_store import Store
    from edge.releases.store.state import STATE, folder_of

    config = config_from(options, installed=True)
    folder = folder_of(config)
    if not (folder / STATE).is_file():
        raise UserError(f"{folder}: no release was ever installed here; the model of the package runs")
    now = Store(folder).roll_back("rolled back at the device")
    if options.json:
        print(json.dumps({"model": now.current.name if now.current else None}))
    else:
        active = now.current.name if now.current is not None else "the model of the package"
        print(f"rolled back to {active}; {now.refused_models[-1].name} will not be installed again")
    return 0


def run_forget(options: argparse.Namespace) -> int:
    """Delete the baseline and wait a moment for a running ear to start a new one. Raises `UserError`."""
    from edge.ear import baseline_file

    path = baseline_file.baseline_path(config_from(options, installed=True))
    try:
        removed = baseline_file.forget(path)
        noticed = removed and _ear_noticed(path)
    except PermissionError:
        raise UserError(f"{path}: only the ear and root may delete it: use sudo") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be removed: {error}") from None
    if options.json:
        print(json.dumps({"file": str(path), "removed": removed, "ear_noticed": noticed}))
    elif not removed:
        print(f"there is no baseline at {path}")
    elif noticed:
        print("baseline deleted; the running ear has started a new one")
    else:
        print("baseline deleted; no ear is running (an ear that does not respond deletes it at its restart)")
    return 0


def _ear_noticed(path: Path) -> bool:
    """Whether a running ear has created a new file."""
    deadline = time.monotonic() + CONFIRM_S
    while time.monotonic() < deadline:
        if path.exists():
            return True
        threading.Event().wait(POLL_S)
    return False
