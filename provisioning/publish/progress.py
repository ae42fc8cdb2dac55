"""The progress of a roll-out, from the status that each device publishes (`B/N/model`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

from edge.protocol import ModelStatus
from edge.protocol.bundle_name import family_of
from edge.releases.metadata import Release

DeviceState = Literal[
    "good",
    "refused",
    "rolled back",
    "offline",
    "unknown",
    "failing",
    "idle",
    "checking",
    "downloading",
    "unpacking",
    "validating",
    "switching",
    "probation",
]
"""`good`: it runs and has passed its probation; `idle`: the device has not started; `failing`: it cannot, and tries
again; `offline`: it is not connected."""
Rows = dict[str, tuple[DeviceState, ModelStatus | None]]
"""State and last status of each device, by name."""

FAILED: Final = ("refused", "rolled back")


def device_states(about: Release, statuses: Mapping[str, ModelStatus], online: Iterable[str]) -> Rows:
    """Return the state of every device that a release reaches, from what devices report."""
    connected = set(online)
    found: Rows = {}
    for node in sorted(set(statuses) | set(about.nodes)):
        status = statuses.get(node)
        if about.reaches(node) and not _of_another_family(about.family, status):
            found[node] = (device_state(about, status, node in connected), status)
    return found


def device_state(about: Release, status: ModelStatus | None, online: bool) -> DeviceState:
    """Return the state of one device with regard to a release; None as its status: it has reported nothing."""
    if status is None:
        return "unknown"
    if status.refused == about.release:
        return "rolled back" if "rolled back" in status.error else "refused"
    if status.release >= about.release:
        return "good" if status.state == "idle" else status.state
    if status.model == about.full_name and status.state == "idle" and not status.error:
        # The same model, from its package or an earlier release.
        return "good"
    if not online:
        return "offline"
    return "failing" if status.state == "idle" and status.error else status.state


def others(family: str, nodes: Collection[str], statuses: Mapping[str, ModelStatus]) -> dict[str, str]:
    """Return the model of each device by node id where all of `nodes` run another family; else nothing.

    `nodes` empty: all devices. A device that is not reached yet, because of the percentage, counts, too.
    """
    meant = {node: status for node, status in statuses.items() if not nodes or node in nodes}
    if not all(_of_another_family(family, status) for status in meant.values()):
        return {}
    return {node: status.model for node, status in sorted(meant.items())}


def _of_another_family(family: str, status: ModelStatus | None) -> bool:
    return status is not None and bool(status.model) and family_of(status.model) != family
