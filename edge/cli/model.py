"""`roomtone model`: which model this box runs, what the room's mean has heard, and how to forget it."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from edge.config.options import add_config_options, config_from
from edge.config.settings import Config
from edge.util.errors import UserError

if TYPE_CHECKING:
    from edge.ear.model_selection import Chosen

PATIENCE_S: Final = 3.0
"""An ear that runs looks every second."""
POLL_S: Final = 0.1


class BaselineStatus(Struct, frozen=True, kw_only=True):
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


class StoreStatus(Struct, frozen=True, kw_only=True):
    """What is known of models that were pushed."""

    folder: str
    shipped: bool
    """Whether the model of the package runs."""
    release: int = 0
    """Of the model that runs; 0: none."""
    floor: int = 0
    """Nothing at or below this release is ever installed."""
    probation: bool = False
    previous: str | None = None
    """What a roll-back leads to; null: the model of the package."""
    refused: tuple[str, ...] = ()
    """Never again."""
    error: str = ""


class Status(Struct, frozen=True, kw_only=True):
    """What `roomtone model status --json` prints."""

    model: str
    path: str
    sha256: str
    kernels: str
    temperature: float
    abstain_below: float
    min_ms: int
    room: BaselineStatus
    pushed: StoreStatus


def register(subparsers: Any) -> None:
    """Adds `roomtone model`."""
    parser = subparsers.add_parser(
        "model",
        help="which model runs here, and what it keeps of the room",
        description="Which model this box runs, what the mean of the room has heard, and how to forget it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  sudo roomtone model status\n  sudo roomtone model status --json\n"
        "  sudo roomtone model forget      the ear need not be stopped\n"
        "  sudo roomtone model rollback    back to the model before, which a push has replaced\n\n"
        "More: docs/privacy.md, docs/updates.md",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, text, run in (
        ("status", "the model, its hash, and how many utterances the mean of the room has heard", run_status),
        ("forget", "forget what the mean of the room has heard, also while the ear runs", run_forget),
        (
            "rollback",
            "back to the model before, and never again to this one; the ear need not be stopped",
            run_rollback,
        ),
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
    pushed = status.pushed
    if pushed.shipped:
        print(f"pushed   nothing: the model of the package runs (no release up to {pushed.floor} any more)")
    else:
        how = "on probation" if pushed.probation else "good"
        print(
            f"pushed   release {pushed.release}, {how}; before it: {pushed.previous or 'the model of the package'}"
        )
    if pushed.refused:
        print(f"never    {', '.join(pushed.refused)}")
    if pushed.error:
        print(f"error    {pushed.error}")
    return 0


def status_of(config: Config) -> Status:
    """Reads bundle and file. Raises `UserError`."""
    from edge.ear.model_selection import Models

    chosen = Models(config).would_run()
    found = chosen.bundle
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
        pushed=_pushed(config, chosen),
    )


def _pushed(config: Config, chosen: Chosen) -> StoreStatus:
    from edge.releases import state
    from edge.releases.store import folder_of

    now = state.read_or_new(folder_of(config))
    return StoreStatus(
        folder=str(folder_of(config)),
        shipped=chosen.slot is None,
        release=chosen.slot.release if chosen.slot is not None else 0,
        floor=now.floor,
        probation=chosen.on_probation,
        previous=now.previous.name if now.previous is not None else None,
        refused=tuple(bad.name for bad in now.bad),
        error=now.error,
    )


def _room(config: Config, bundle: Any) -> BaselineStatus:
    from edge.ear import baseline_file
    from edge.inference.baseline import Baseline
    from edge.inference.bundle import BundleError

    path = baseline_file.path_of(config)
    if not config.baseline.enabled:
        return BaselineStatus(adapt=False, why_not="`baseline.enabled` is off", file=str(path))
    try:
        room = Baseline.of(bundle, config.baseline.memory)
    except BundleError as error:
        return BaselineStatus(adapt=False, why_not=str(error), file=str(path))
    try:
        kept = baseline_file.read(path)
        if kept is None or not kept.room.heard:
            return BaselineStatus(adapt=True, file=str(path), since=kept.since if kept else None)
        if kept.model_sha256 != bundle.sha256:
            why = f"what is there is of another model, {kept.model}, and will be dropped"
            return BaselineStatus(adapt=True, why_not=why, file=str(path))
        room.resume(kept.room)
    except PermissionError:
        raise _not_allowed(path) from None
    except (baseline_file.BaselineFileError, ValueError) as error:
        why = f"the file is damaged and will be dropped: {error}"
        return BaselineStatus(adapt=True, why_not=why, file=str(path))
    return BaselineStatus(
        adapt=True,
        file=str(path),
        heard=room.heard,
        share=round(room.share, 3),
        since=kept.since,
        saved=kept.saved,
    )


def run_rollback(options: argparse.Namespace) -> int:
    """Back to the model before; a link that runs tells its ear within a second. Raises `UserError`."""
    from edge.releases.state import STATE
    from edge.releases.store import Store, folder_of

    config = config_from(options, installed=True)
    folder = folder_of(config)
    if not (folder / STATE).is_file():
        raise UserError(f"{folder}: no model was ever pushed here: the model of the package runs")
    now = Store(folder).roll_back("rolled back at the box")
    back = now.current.name if now.current is not None else "the model of the package"
    if options.json:
        print(msgspec.json.encode({"model": now.current.name if now.current else None}).decode())
    else:
        print(f"back to {back}; {now.bad[-1].name} is never tried again")
    return 0


def run_forget(options: argparse.Namespace) -> int:
    """Removes the file and waits a moment for an ear that runs. Raises `UserError`."""
    from edge.ear import baseline_file

    path = baseline_file.path_of(config_from(options, installed=True))
    try:
        removed = baseline_file.forget(path)
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
