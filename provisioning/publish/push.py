"""`fleet push` in four steps: plan, sign, upload, watch; the last three once for each stage of the roll-out.

The devices that a release reaches are signed into its metadata, so neither the hub nor the broker decides about them.
What devices report over MQTT (`B/N/model`) is information, and the only thing that it can do is to stop the roll-out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner

from edge.config.join_file import ABOUT
from edge.releases.metadata import Release
from edge.util.errors import UserError
from provisioning.fleet.console import print_status
from provisioning.publish import commands, progress, setup
from provisioning.publish.catalogue import Catalogue
from provisioning.publish.device_status import DeviceStatus
from provisioning.publish.plan import Plan, check_options, family_to_push, nodes_of, plan
from provisioning.publish.progress import Rows
from provisioning.publish.progress_table import Table
from provisioning.publish.signing import sign_targets
from provisioning.publish.upload import Hub, hub_of
from provisioning.publish.watch import Clock, Devices, StageResult, watch

REPORT_S: Final = 2.0
"""How long retained reports of devices are waited for before a release is signed."""


class HaltedError(UserError):
    """The roll-out has stopped because too many devices have refused the release or rolled it back."""


def run(options: argparse.Namespace) -> int:
    """Push a release to devices in stages. Raises `UserError`, `HaltedError`."""
    catalogue = commands.catalogue_of(options)
    check_options(catalogue, options)
    hub = hub_of(catalogue, options.ca)
    options.join = options.join or _operator_of_hub(options)
    # Hub and broker are reached before anything is signed.
    hub.status()
    nodes = nodes_of(catalogue, options.to)
    commands.print_not_enrolled(options.site, nodes)
    with DeviceStatus(options) as devices:
        refuse_other_family(family_to_push(catalogue, options), nodes, devices)
        planned = plan(catalogue, options)
        signer = setup.targets_signer(catalogue, options.targets_key, commands.passphrase_of(options))

        def publish(percent: int) -> int:
            sign(catalogue, signer, planned, percent)
            return upload(catalogue, hub)

        with Table(options.json) as table:
            last = roll_out(planned, publish, devices, table.show)
    print_status(summary(planned.release.full_name, last))
    return 0 if last.passed or not last.pending else 1


def summary(name: str, last: StageResult) -> str:
    """Say in plain words how many devices run a release now, and what the others do."""
    if not (last.passed or last.failed or last.pending):
        return f"{name}: signed and published; no device has reported yet, and each gets it when it connects"
    known = len(last.passed) + len(last.failed) + len(last.pending)
    text = f"{name}: {len(last.passed)} of {known} devices run it"
    if last.failed:
        text += f"; refused or rolled back by {', '.join(last.failed)}"
    if last.pending:
        waiting = ", ".join(f"{node} ({state})" for node, state in last.pending.items())
        text += f"; not yet: {waiting}. They get it when they can; nothing is to be pushed again"
    return text


def refuse_other_family(
    family: str,
    nodes: Collection[str],
    devices: Devices,
    clock: Clock = Clock(),  # noqa: B008 - immutable
) -> None:
    """Raise `UserError`, before anything is signed, where all devices that are known run models of another family."""
    until = clock.now() + REPORT_S
    while not devices.statuses() and clock.now() < until:
        clock.sleep(REPORT_S / 10)
    if found := progress.others(family, nodes, devices.statuses()):
        raise UserError(f"nothing is signed: {_running(found)}")


def _running(others: Mapping[str, str]) -> str:
    running = ", ".join(f"{node} runs {model}" for node, model in others.items())
    return f"{running}. A device takes releases of its own family only: set `model.bundle` there"


def _operator_of_hub(options: argparse.Namespace) -> Path | None:
    """Return the operator that `roomtone hub` has made beside its own site, where no broker is named."""
    folder: Path = options.site.absolute().parent / "push"
    return folder if options.broker is None and (folder / ABOUT).is_file() else None


def sign(catalogue: Catalogue, signer: CryptoSigner, planned: Plan, percent: int) -> None:
    """Sign that the release reaches this percentage of the planned devices."""
    target = next(t for t in catalogue.listed() if t.release.release == planned.release.release)
    archive = catalogue.archive(target.release.path, target.sha256)
    sign_targets(catalogue, signer, put=[(staged(planned, percent), archive)])


def upload(catalogue: Catalogue, hub: Hub) -> int:
    """Upload everything that is new to the hub.

    Return the version of the timestamp metadata that the hub then signs.
    """
    return int(hub.bring(catalogue)["timestamp"]["version"])


def roll_out(
    planned: Plan, publish: Callable[[int], int], devices: Devices, show: Callable[[Rows], None],
    clock: Clock = Clock(),  # noqa: B008 - immutable
) -> StageResult:  # fmt: skip
    """Publish, announce and watch each stage; return how the last one ended.

    Raises `HaltedError`; then the release reaches no further device.

    `publish` signs and uploads a percentage, and returns the version of the timestamp metadata.
    """
    name = planned.release.full_name
    for percent in planned.stages:
        devices.announce(publish(percent))
        result = watch(staged(planned, percent), devices, planned.wait_s, planned.halt_at, show, clock=clock)
        if result.others:
            raise UserError(f"{name} is signed, and reaches no device: {_running(result.others)}")
        if result.halted:
            devices.announce(publish(0))
            total = len(result.passed) + len(result.failed) + len(result.pending)
            raise HaltedError(
                f"halted at {percent} %: {len(result.failed)} of {total} devices have refused {name} or rolled it "
                f"back ({', '.join(result.failed)}); no further device gets it"
            )
        if percent != planned.stages[-1]:
            print_status(
                f"{percent} %: {len(result.passed)} passed, {len(result.failed)} failed, {len(result.pending)} pending"
            )
    return result


def staged(planned: Plan, percent: int) -> Release:
    """Return the release with the devices and the percentage of a stage, as it is signed."""
    return msgspec.structs.replace(planned.release, nodes=tuple(planned.nodes), percent=percent)
