"""`fleet push` in four steps: plan, sign, upload, watch; the last three once for each stage of the roll-out.

The devices that a release reaches are signed into its metadata, so neither the hub nor the broker decides about them.
What devices report over MQTT (`B/N/model`) is information, and the only thing that it can do is to stop the roll-out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import msgspec
from securesystemslib.signer import CryptoSigner

from edge.config.join_file import ABOUT
from edge.releases.metadata import Release
from edge.util.errors import UserError
from provisioning.fleet.console import print_status
from provisioning.publish import commands, setup
from provisioning.publish.catalogue import Catalogue
from provisioning.publish.device_status import DeviceStatus
from provisioning.publish.plan import Plan, check_options, plan
from provisioning.publish.progress import Rows
from provisioning.publish.progress_table import Table
from provisioning.publish.signing import sign_targets
from provisioning.publish.upload import Hub, hub_of
from provisioning.publish.watch import Clock, Devices, watch


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
    with DeviceStatus(options) as devices:
        planned = plan(catalogue, options)
        signer = setup.targets_signer(catalogue, options.targets_key, commands.passphrase_of(options))

        def publish(percent: int) -> int:
            sign(catalogue, signer, planned, percent)
            return upload(catalogue, hub)

        with Table(options.json) as table:
            roll_out(planned, publish, devices, table.show)
    print_status(f"{planned.release.full_name}: pushed to {options.to}")
    return 0


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
) -> None:  # fmt: skip
    """Publish, announce and watch each stage. Raises `HaltedError`; then the release reaches no further device.

    `publish` signs and uploads a percentage, and returns the version of the timestamp metadata.
    """
    name = planned.release.full_name
    for percent in planned.stages:
        devices.announce(publish(percent))
        result = watch(staged(planned, percent), devices, planned.wait_s, planned.halt_at, show, clock=clock)
        if result.others:
            running = ", ".join(f"{node} runs {model}" for node, model in result.others.items())
            raise UserError(
                f"{name} is signed, and reaches no device: {running}. A device takes releases of its own family "
                "only: set `model.bundle` there"
            )
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


def staged(planned: Plan, percent: int) -> Release:
    """Return the release with the devices and the percentage of a stage, as it is signed."""
    return msgspec.structs.replace(planned.release, nodes=tuple(planned.nodes), percent=percent)
