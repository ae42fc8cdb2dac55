"""`fleet push`: a release goes to some boxes, then to more, and stops by itself when they take it back.

Who is meant is signed into the target's metadata, so neither the hub nor the broker decides it. What the boxes make of
it comes back over MQTT (`B/N/model`), which is news and no command.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from edge.protocol.messages import ModelStatus
from edge.releases.metadata import Release, Target
from edge.util.errors import UserError
from provisioning.fleet.console import print_status as say
from provisioning.publish import commands, progress, setup
from provisioning.publish.catalogue import Catalogue
from provisioning.publish.device_status import DeviceStatus
from provisioning.publish.progress_table import Table
from provisioning.publish.upload import hub_of

LOOK_S: Final = 0.5
QUIET_S: Final = 15.0
"""So long the broker is listened to before the boxes that have told something count as all."""


class Watch(Protocol):
    """What the boxes say."""

    def statuses(self) -> dict[str, ModelStatus]:
        """The last of each."""

    def online(self) -> set[str]:
        """Boxes that are there."""

    def announce(self, timestamp_version: int) -> None:
        """Tells them that something is new."""


@dataclass(frozen=True)
class Plan:
    """Stages in percent, how long each may take, and the share of boxes whose refusal ends it."""

    stages: Sequence[int]
    wait_s: float
    halt_at: float


class HaltedError(UserError):
    """The roll-out has stopped by itself."""


def run(options: argparse.Namespace) -> int:
    """Publishes where a folder is given, then pushes. Raises `UserError`."""
    catalogue = commands.catalogue_of(options)
    if options.no_upload:
        raise UserError("--no-upload: a push has to bring what it signs to the hub; `publish` need not")
    plan = Plan(_stages(options.percent, options.then), _seconds(options.wait), options.halt_at / 100)
    about = _release(catalogue, options)
    nodes = _nodes(catalogue, options.to)
    signer = setup.targets_signer(catalogue, options.targets_key, commands.passphrase_of(options))
    hub = hub_of(catalogue, options.ca)

    def sign(percent: int) -> int:
        """The roll-out as it is from now on; the version of the timestamp that tells of it."""
        target = _target(catalogue, about)
        new = msgspec.structs.replace(target.release, nodes=nodes, percent=percent)
        archive = catalogue.archive(target.release.path, target.sha256)
        catalogue.sign_targets(signer, put=[(new, archive)])
        return int(hub.bring(catalogue)["timestamp"]["version"])

    with DeviceStatus(options) as watcher, Table(options.json) as table:
        roll_out(about, nodes, plan, watcher, sign, table.show)
    say(f"{about.full_name}: pushed to {options.to}")
    return 0


def roll_out(  # noqa: PLR0917 - a plan, and what it acts on
    about: Release, nodes: Sequence[str], plan: Plan, watcher: Watch, sign: Callable[[int], int],
    show: Callable[[dict[str, tuple[str, ModelStatus | None]]], None], *, sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic, quiet_s: float = QUIET_S,
) -> None:  # fmt: skip
    """All stages. Raises `HaltedError`; then no further box is meant."""
    for index, percent in enumerate(plan.stages):
        # Whoever tells anything later belongs to the stage, too: a box may just be starting.
        wanted = msgspec.structs.replace(about, nodes=tuple(nodes), percent=percent)
        watcher.announce(sign(percent))
        begun = now()
        while True:
            rows = rows_of(wanted, watcher)
            show(rows)
            done = [node for node, (what, _) in rows.items() if what == "good"]
            back = [node for node, (what, _) in rows.items() if what in progress.BACK]
            if back and len(back) / max(1, len(rows)) > plan.halt_at:
                watcher.announce(sign(0))
                raise HaltedError(
                    f"halted at {percent} %: {len(back)} of {len(rows)} boxes have refused {about.full_name} or rolled "
                    f"it back ({', '.join(sorted(back))}); no further box gets it"
                )
            waited = now() - begun
            settled = rows and len(done) + len(back) == len(rows) and waited >= min(quiet_s, plan.wait_s)
            if settled or waited >= plan.wait_s:
                break
            sleep(LOOK_S)
        if index + 1 < len(plan.stages):
            say(
                f"{percent} %: {len(done)} good, {len(back)} refused, {len(rows) - len(done) - len(back)} not yet"
            )


def rows_of(about: Release, watcher: Watch) -> dict[str, tuple[str, ModelStatus | None]]:
    """Every box that is meant, with what it makes of the release."""
    return dict(progress.rows_of(about, watcher.statuses(), watcher.online()))


def _release(catalogue: Catalogue, options: argparse.Namespace) -> Release:
    """The release that is named, or one of the bundle's folder, which is signed first."""
    if (Path(options.bundle) / "manifest.json").is_file():
        return commands.sign_bundle(catalogue, options, percent=0)
    return catalogue.find(options.bundle).release


def _target(catalogue: Catalogue, about: Release) -> Target:
    return next(t for t in catalogue.listed() if t.release.release == about.release)


def _nodes(catalogue: Catalogue, to: str) -> tuple[str, ...]:
    if to == "all":
        return ()
    if to in catalogue.about.groups:
        return catalogue.about.groups[to]
    if not to or not all(c.isalnum() or c in "_-" for c in to) or to != to.lower():
        known = ", ".join(catalogue.about.groups) or "none"
        raise UserError(f"--to {to!r}: a node, a group (known: {known}), or `all`")
    return (to,)


def _stages(percent: int, then: Sequence[int]) -> list[int]:
    stages = [percent, *then]
    if any(not 1 <= one <= 100 for one in stages) or stages != sorted(set(stages)):
        raise UserError("--percent and --then: from 1 to 100, each more than the one before")
    return stages


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = -1.0
    if not 0 < value <= 30 * 86_400:
        raise UserError(f"--wait {text!r}: such as 90s, 30m or 1h")
    return value
