"""How far a release has come, from what the boxes tell of themselves (`B/N/model`): news, and no command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from edge.protocol.bundle_name import family_of
from edge.protocol.messages import ModelStatus
from edge.releases.metadata import Release

What = Literal[
    "good",
    "refused",
    "rolled back",
    "offline",
    "unknown",
    "idle",
    "checking",
    "downloading",
    "unpacking",
    "validating",
    "switching",
    "probation",
]
"""`good`: it runs and has proved itself; `idle`: the box has not begun; `offline`: it is not connected."""

BACK: Final = ("refused", "rolled back")


def rows_of(
    about: Release, statuses: Mapping[str, ModelStatus], online: Iterable[str]
) -> dict[str, tuple[What, ModelStatus | None]]:
    """Every box that is meant, with what it makes of the release, by name."""
    there = set(online)
    found: dict[str, tuple[What, ModelStatus | None]] = {}
    for node in sorted(set(statuses) | set(about.nodes)):
        status = statuses.get(node)
        if about.reaches(node) and not _of_another_family(about, status):
            found[node] = (what(about, status, node in there), status)
    return found


def what(about: Release, status: ModelStatus | None, online: bool) -> What:
    """What one box makes of a release."""
    if status is None:
        return "unknown"
    if status.refused == about.release:
        return "rolled back" if "rolled back" in status.error else "refused"
    if status.release >= about.release or (status.model == about.full_name and status.state == "idle"):
        return "good" if status.state == "idle" else status.state
    return status.state if online else "offline"


def _of_another_family(about: Release, status: ModelStatus | None) -> bool:
    return status is not None and bool(status.model) and family_of(status.model) != about.family
