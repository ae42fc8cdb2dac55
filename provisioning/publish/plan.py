"""First step of `fleet push`: what is pushed to which devices, in which stages, and when it stops."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.inference import bundle as bundles
from edge.releases.metadata import Release
from edge.util.errors import UserError
from provisioning.publish import commands
from provisioning.publish.catalogue import Catalogue

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_WAIT_S: Final = 30 * 86_400


@dataclass(frozen=True)
class Plan:
    """A roll-out: stages in percent, the longest time of each, and the share of failed devices that stops it."""

    release: Release
    nodes: Sequence[str]
    """Only these devices; empty: all."""
    stages: Sequence[int]
    wait_s: float
    halt_at: float


def check_options(catalogue: Catalogue, options: argparse.Namespace) -> None:
    """Check what can be checked before hub and broker are asked, and anything is signed. Raises `UserError`."""
    if options.no_upload:
        raise UserError("--no-upload: a push uploads what it signs to the hub; `publish` need not")
    parse_stages(options.percent, options.then)
    parse_duration(options.wait)
    nodes_of(catalogue, options.to)
    commands.check_data(options)
    if "/" in options.bundle and not _is_folder(options):
        raise UserError(f"{options.bundle}: no folder with a manifest.json, as `train export` makes it")
    if not _is_folder(options):
        catalogue.find(options.bundle)


def plan(catalogue: Catalogue, options: argparse.Namespace) -> Plan:
    """Make a plan from the command's options; a bundle's folder is signed as a new release first.

    Raises `UserError`.
    """
    check_options(catalogue, options)
    stages, wait_s = parse_stages(options.percent, options.then), parse_duration(options.wait)
    nodes = nodes_of(catalogue, options.to)
    return Plan(_release(catalogue, options), nodes, stages, wait_s, options.halt_at / 100)


def parse_stages(percent: int, then: Sequence[int]) -> list[int]:
    """Return the stages of a roll-out in percent. Raises `UserError` unless they rise from 1 to 100."""
    stages = [percent, *then]
    if any(not 1 <= one <= 100 for one in stages) or stages != sorted(set(stages)):
        raise UserError("--percent and --then: from 1 to 100, each higher than the one before")
    return stages


def parse_duration(text: str) -> float:
    """Convert a duration such as `90s`, `30m`, `1h` or `2d` to seconds. Raises `UserError`."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        value = float(number) * UNITS[unit]
    except ValueError:
        value = -1.0
    if not 0 < value <= MAX_WAIT_S:
        raise UserError(f"--wait {text!r}: such as 90s, 30m or 1h")
    return value


def family_to_push(catalogue: Catalogue, options: argparse.Namespace) -> str:
    """Return the family of the bundle that is to be pushed. Raises `UserError` where there is no such bundle."""
    if _is_folder(options):
        return bundles.load(Path(options.bundle)).manifest.name
    return catalogue.find(options.bundle).release.family


def _is_folder(options: argparse.Namespace) -> bool:
    return (Path(options.bundle) / "manifest.json").is_file()


def _release(catalogue: Catalogue, options: argparse.Namespace) -> Release:
    if _is_folder(options):
        return commands.sign_bundle(catalogue, options, percent=0)
    return catalogue.find(options.bundle).release


def nodes_of(catalogue: Catalogue, to: str) -> tuple[str, ...]:
    """Return the devices that `--to` names; empty: all. Raises `UserError`."""
    if to == "all":
        return ()
    if to in catalogue.about.groups:
        return catalogue.about.groups[to]
    if not to or not all(c.isalnum() or c in "_-" for c in to) or to != to.lower():
        known = ", ".join(catalogue.about.groups) or "none"
        raise UserError(f"--to {to!r}: a device, a group (known: {known}), or `all`")
    return (to,)
