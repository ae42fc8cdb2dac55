"""`roomtone model`: which model this box runs, what the room's mean has heard, and how to forget it."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from edge.config import Config
from edge.errors import UserError
from edge.options import add_config_options, config_from

PATIENCE_S: Final = 3.0
"""An ear that runs looks every second."""
POLL_S: Final = 0.1


class RoomStatus(Struct, frozen=True, kw_only=True):
    """What is known of the room's mean."""

    adapt: bool
    """Whether the ear adapts to the room."""
    why_not: str | None = None
    file: str
    heard: int = 0
    """Utterances, as of `saved`; fewer than 20 are not written and count as none."""
    share: float = 0.0
    """How far the estimate has gone from the training's mean to the room's, 0 to 1."""
    moods: float = 0.0
    """Effective number of emotions in which the room was heard: below 4.25 the mean does not count, from 5 in full."""
    trust: float = 0.0
    """How far it counts, 0 to 1."""
    since: str | None = None
    saved: str | None = None


class Status(Struct, frozen=True, kw_only=True):
    """What `roomtone model status --json` prints."""

    model: str
    path: str
    sha256: str
    kernels: str
    temperature: float
    abstain_below: float
    min_ms: int
    room: RoomStatus


def register(subparsers: Any) -> None:
    """Adds `roomtone model`."""
    parser = subparsers.add_parser(
        "model",
        help="which model runs here, and what it keeps of the room",
        description="Which model this box runs, what the mean of the room has heard, and how to forget it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  sudo roomtone model status\n  sudo roomtone model status --json\n"
        "  sudo roomtone model forget      the ear need not be stopped\n\nMore: docs/privacy.md",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, text, run in (
        ("status", "the model, its hash, and how many utterances the mean of the room has heard", run_status),
        ("forget", "forget what the mean of the room has heard, also while the ear runs", run_forget),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        add_config_options(action)
        action.add_argument("--json", action="store_true", help="one JSON object")
        action.set_defaults(run=run)


def run_status(options: argparse.Namespace) -> int:
    """Prints the status. Raises `UserError`."""
    status = status_of(config_from(options, installed=True))
    if options.json:
        print(msgspec.json.encode(status).decode())
        return 0
    room = status.room
    print(f"model    {status.model} at {status.path}")
    print(f"sha256   {status.sha256}")
    print(
        f"answers  {status.kernels}, temperature {status.temperature:g}, `uncertain` below {status.abstain_below:g} "
        f"and for speech of less than {status.min_ms} ms"
    )
    if not room.adapt:
        print(f"room     not adapted: {room.why_not}")
    elif room.heard:
        print(
            f"room     the mean has heard {room.heard} utterances since {room.since} (as of {room.saved}); "
            f"{room.share:.0%} of the way from the training's mean to the room's"
        )
    else:
        print(f"room     nothing is kept yet{f' ({room.why_not})' if room.why_not else ''}")
    print(f"file     {room.file}")
    return 0


def status_of(config: Config) -> Status:
    """Reads bundle and file. Raises `UserError`."""
    from edge.model import bundle

    found = bundle.load(bundle.find(config.model.bundle))
    manifest = found.manifest
    threshold = config.model.abstain_below
    return Status(
        model=found.full_name,
        path=str(found.path),
        sha256=found.sha256,
        kernels=manifest.kernels,
        temperature=manifest.temperature,
        abstain_below=manifest.abstain_below if threshold is None else threshold,
        min_ms=manifest.min_ms,
        room=_room(config, found),
    )


def _room(config: Config, bundle: Any) -> RoomStatus:
    from edge.ear import roomfile
    from edge.model.bundle import BundleError
    from edge.model.room import RoomMean

    path = roomfile.path_of(config)
    if not config.room.adapt:
        return RoomStatus(adapt=False, why_not="`room.adapt` is off", file=str(path))
    try:
        room = RoomMean.of(bundle, config.room.memory)
    except BundleError as error:
        return RoomStatus(adapt=False, why_not=str(error), file=str(path))
    try:
        kept = roomfile.read(path)
        if kept is None or not kept.room.heard:
            return RoomStatus(adapt=True, file=str(path), since=kept.since if kept else None)
        if kept.model_sha256 != bundle.sha256:
            why = f"what is there is of another model, {kept.model}, and will be dropped"
            return RoomStatus(adapt=True, why_not=why, file=str(path))
        room.resume(kept.room)
    except PermissionError:
        raise _not_allowed(path) from None
    except (roomfile.RoomFileError, ValueError) as error:
        why = f"the file is damaged and will be dropped: {error}"
        return RoomStatus(adapt=True, why_not=why, file=str(path))
    return RoomStatus(
        adapt=True,
        file=str(path),
        heard=room.heard,
        share=round(room.share, 3),
        since=kept.since,
        saved=kept.saved,
    )


def run_forget(options: argparse.Namespace) -> int:
    """Removes the file and waits a moment for an ear that runs. Raises `UserError`."""
    from edge.ear import roomfile

    path = roomfile.path_of(config_from(options, installed=True))
    try:
        removed = roomfile.forget(path)
        noticed = removed and _noticed(path)
    except PermissionError:
        raise _not_allowed(path) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be removed: {error}") from None
    if options.json:
        answer = {"file": str(path), "removed": removed, "ear_noticed": noticed}
        print(msgspec.json.encode(answer).decode())
    elif not removed:
        print(f"nothing was kept at {path}")
    elif noticed:
        print("forgotten; the ear that runs here has begun anew")
    else:
        print(
            "forgotten; no ear has taken notice, so none runs here (one that hangs forgets when it is restarted)"
        )
    return 0


def _noticed(path: Path) -> bool:
    """Whether an ear has begun a new file."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if path.exists():
            return True
        threading.Event().wait(POLL_S)
    return False


def _not_allowed(path: Path) -> UserError:
    return UserError(f"{path}: only the ear and root may read it: use sudo")
