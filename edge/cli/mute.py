"""`roomtone mute`: closes the microphone, at the device. Needs write access to the ear's state folder."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.config.options import add_config_options, config_from
from edge.util.errors import UserError
from edge.util.service.runtime_dir import runtime_dir

CONFIRM_S: Final = 8.0
RUNTIME: Final = runtime_dir() or Path("/run/roomtone/ear")


def register(subparsers: Any) -> None:
    """Add `roomtone mute`."""
    add_parser(
        subparsers, "mute", "close the microphone until `roomtone unmute`, also after restarts", muted=True
    )


def add_parser(subparsers: Any, name: str, text: str, *, muted: bool) -> None:
    """Add the parser of `mute` or `unmute`."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}. A mute at the device cannot be ended over MQTT. "
        "The quiet hours of the configuration apply all the same.",
        epilog=f"examples:\n  sudo roomtone {name}\n  roomtone {name} --config room.toml\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_options(parser)
    parser.set_defaults(run=run, muted=muted)


def run(options: argparse.Namespace) -> int:
    """Write or withdraw the request and wait until the ear has followed it. Raises `UserError`."""
    from edge.ear.mute.mute_state import MuteState
    from edge.ear.state_dir import folder

    config = config_from(options, installed=True)
    place = folder(config)
    requests = MuteState(place, config.audio.quiet_hours)
    try:
        # To withdraw a request needs no folder, and yet would say that there is an ear.
        place.stat()
        requests.set_local(options.muted)
    except FileNotFoundError:
        raise UserError(f"{place}: no such folder; start the ear first, or name it in --config") from None
    except PermissionError:
        raise UserError(f"{place}: no permission to write there; try: sudo roomtone ...") from None
    reasons = requests.reasons()
    state = _wait_for_ear(bool(reasons))
    if not state:
        print(f"{'muted' if reasons else 'unmuted'}: the ear follows within a second, or when it starts")
    elif bool(reasons) != (state == "muted"):
        print(f"the ear did not respond: the microphone is {state}; see: systemctl status roomtone-ear")
        return 1
    elif reasons:
        print(f"the microphone is closed ({', '.join(reasons)})")
    else:
        print(f"the microphone may be open again: {state}")
    if reasons and not options.muted:
        print(f"roomtone: still closed: {', '.join(reasons)}", file=sys.stderr)
        return 1
    return 0


def _wait_for_ear(muted: bool) -> str:
    """The state of the microphone as soon as it fits, or after `CONFIRM_S`; empty without an ear."""
    from edge.ear.mute.mute_state import read_mic_state

    end = time.monotonic() + CONFIRM_S
    pause = threading.Event()
    state = ""
    while time.monotonic() < end:
        state = read_mic_state(RUNTIME) or ""
        if not state:
            return ""
        if (state == "muted") == muted:
            return state
        pause.wait(0.1)
    return state
