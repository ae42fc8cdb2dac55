"""`roomtone mute` and `roomtone unmute`: at the device, by whoever may write to the ear's state folder."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.config.load import SYSTEM_CONFIG, load
from edge.config.options import add_config_options, overrides
from edge.ear.mute.requests import Mute
from edge.ear.state_dir import folder
from edge.util.errors import UserError

CONFIRM_S: Final = 8.0
RUNTIME: Final = Path("/run/roomtone-ear")


def register_mute(subparsers: Any) -> None:
    """Adds `roomtone mute`."""
    _register(subparsers, "mute", "close the microphone until `roomtone unmute`, also over restarts", True)


def register_unmute(subparsers: Any) -> None:
    """Adds `roomtone unmute`."""
    _register(subparsers, "unmute", "open the microphone again, whoever muted it", False)


def _register(subparsers: Any, name: str, text: str, muted: bool) -> None:
    parser = subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}. What was muted here cannot be unmuted over MQTT. "
        "Quiet hours of the configuration stay.",
        epilog=f"example:\n  sudo roomtone {name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_options(parser)
    parser.set_defaults(run=run, muted=muted)


def run(options: argparse.Namespace) -> int:
    """Writes the wish and waits until the ear has followed it. Raises `UserError`."""
    path = options.config or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)
    config = load(path, overrides(options.settings))
    place = folder(config)
    wish = Mute(place, config.audio.quiet_hours)
    try:
        wish.set_at_device(options.muted)
    except FileNotFoundError:
        raise UserError(f"{place}: no such folder; start the ear first, or name it in --config") from None
    except PermissionError:
        raise UserError(f"{place}: this user may not write there; try: sudo roomtone ...") from None
    left = wish.wishes()
    state = _followed(bool(left))
    if not state:
        print(f"{'muted' if left else 'unmuted'}: the ear follows within a second, or when it starts")
    elif bool(left) != (state == "muted"):
        print(f"the ear has not followed: the microphone is {state}; see: systemctl status roomtone-ear")
        return 1
    elif left:
        print(f"the microphone is closed ({', '.join(left)})")
    else:
        print(f"the microphone may be open again: {state}")
    if left and not options.muted:
        print(f"roomtone: still closed: {', '.join(left)}", file=sys.stderr)
        return 1
    return 0


def _followed(muted: bool) -> str:
    """The state of the microphone as soon as it fits, or after a while whatever it is; empty without an ear."""
    end = time.monotonic() + CONFIRM_S
    pause = threading.Event()
    state = ""
    while time.monotonic() < end:
        try:
            state = (RUNTIME / "mic").read_text(encoding="ascii")
        except OSError:
            return ""
        if (state == "muted") == muted:
            return state
        pause.wait(0.1)
    return state
