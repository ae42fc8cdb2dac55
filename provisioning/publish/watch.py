"""Last step of `fleet push`: what the devices of a stage report about a release, until the stage is complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from edge.protocol import ModelStatus
from edge.releases.metadata import Release
from provisioning.publish import progress
from provisioning.publish.progress import FAILED, Rows

POLL_S: Final = 0.5
QUIET_S: Final = 15.0
"""Devices may report this long before those that have reported count as all."""


class Devices(Protocol):
    """The fleet as seen over MQTT; `device_status.DeviceStatus` except in tests."""

    def statuses(self) -> dict[str, ModelStatus]:
        """Return the last model status of each device, by node id."""

    def online(self) -> set[str]:
        """Return the node ids of the connected devices."""

    def announce(self, timestamp_version: int) -> None:
        """Publish that there is a new release."""


@dataclass(frozen=True)
class StageResult:
    """The devices of a stage by outcome; `halted`: more have failed than the plan allows.

    `pending`: the state of each device that has neither passed nor failed. `others`: the model of each device that runs
    another family, where the release reaches no device at all.
    """

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    pending: Mapping[str, str]
    halted: bool
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Clock:
    """The time and a way to wait; replaced in tests."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def watch(
    release: Release, devices: Devices, wait_s: float, halt_at: float, show: Callable[[Rows], None], *,
    clock: Clock = Clock(),
) -> StageResult:  # fmt: skip
    """Wait until all devices that `release` reaches have passed or failed, too many have failed, or time is over.

    Args:
        release: with the devices and percentage of this stage.
        devices: the fleet.
        wait_s: longest duration in seconds.
        halt_at: share of failed devices, 0 to 1, above which the stage is halted.
        show: is called with every state.
        clock: replaced in tests.
    """
    started = clock.now()
    while True:
        statuses = devices.statuses()
        rows = progress.device_states(release, statuses, devices.online())
        show(rows)
        result = _result(rows, halt_at)
        waited = clock.now() - started
        # A device may just be starting: those that report later belong to the stage, too.
        if (
            not rows
            and waited >= min(QUIET_S, wait_s)
            and (others := progress.others(release.family, release.nodes, statuses))
        ):
            return StageResult((), (), {}, halted=False, others=others)
        complete = rows and not result.pending and waited >= min(QUIET_S, wait_s)
        if result.halted or complete or waited >= wait_s:
            return result
        clock.sleep(POLL_S)


def _result(rows: Rows, halt_at: float) -> StageResult:
    passed = tuple(sorted(node for node, (state, _) in rows.items() if state == "good"))
    failed = tuple(sorted(node for node, (state, _) in rows.items() if state in FAILED))
    pending = {
        node: f"{state}: {status.error}" if status is not None and status.error else state
        for node, (state, status) in sorted(rows.items())
        if node not in passed and node not in failed
    }
    return StageResult(passed, failed, pending, bool(failed) and len(failed) / len(rows) > halt_at)
