"""The checks of a bundle before it is signed, and the metadata that is signed with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from edge.inference import bundle as bundles
from edge.inference.bundle import Bundle
from edge.protocol.bundle_name import BundleName
from edge.releases.metadata import Channel, Release, Target
from edge.releases.validation import client
from edge.releases.validation.messages import Budget, ValidationRequest
from edge.util.errors import UserError
from provisioning.publish.catalogue import Catalogue, newest

DATA_VARIABLE: Final = "ROOMTONE_DATA"
WORKSTATION: Final = Budget(window_ms=60_000, times_reference=1e6, memory_mb=4096)
"""Limits for a workstation: only what is wrong on every machine counts here."""


def release_of(bundle: Bundle, number: int, channel: Channel, **more: Any) -> Release:
    """Build the release metadata of a bundle.

    A full-int8 graph runs on every interpreter, other graphs on LiteRT alone.
    """
    manifest = bundle.manifest
    int8 = manifest.kernels == "full-int8"
    return Release(
        release=number,
        family=manifest.name,
        version=manifest.version,
        channel=channel,
        runtimes=("litert", "tflite-runtime") if int8 else ("litert",),
        architectures=("any",) if int8 else ("aarch64", "x86_64"),
        min_daemon=manifest.min_daemon,
        model_sha256=bundle.sha256,
        **more,
    )


def check(bundle: Bundle, current: Bundle | None, data: Path | None, *, protocols: list[str]) -> str:
    """Validate a bundle and compare it with the current one; return the objection, or an empty text.

    Args:
        bundle: what is to be published.
        current: what devices run now; without one, or with the same model, nothing is compared.
        data: folder of the recordings to compare with, by default `$ROOMTONE_DATA`; having neither is
            an objection.
        protocols: names of the evaluation protocols to compare by; empty: the default ones.

    Raises `UserError` where it cannot be checked.
    """
    request = ValidationRequest(
        bundle=str(bundle.path), name=bundle.full_name, model_sha256=bundle.sha256, budget=WORKSTATION
    )
    # In a process of its own, as on a device: some files take the interpreter down with them.
    result = client.validate(request, None)
    if result.verdict is None and not result.reached:
        raise UserError(f"{bundle.full_name} cannot be validated: {result.failure}")
    if result.verdict is None:
        return f"it fails its own golden outputs: {result.failure}"
    if not result.verdict.ok:
        return f"it fails its own golden outputs: {result.verdict.reason}"
    if current is None or current.sha256 == bundle.sha256:
        return ""
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if folder is None:
        return (
            f"it was not compared with {current.full_name}: name the recordings with --data "
            f"(or in {DATA_VARIABLE})"
        )
    try:
        from training.evaluate import compare
    except ModuleNotFoundError as error:
        raise UserError(
            f"the comparison needs {error.name}: install the extra training (docs/install.md)"
        ) from None
    found = compare.run(current, bundle, folder, protocols)
    return str(found["sentence"]) if found["verdict"] == "worse" else ""


def current_bundle(catalogue: Catalogue, bundle: Bundle, channel: Channel, scratch: Path) -> Bundle | None:
    """Return the model that devices run now: the newest published one, else that of the package; None without any."""
    from edge.releases.archive import unpack

    manifest = bundle.manifest
    found = newest(catalogue.listed(), manifest.name, channel)
    if found is not None:
        archive = catalogue.archive(found.release.path, found.sha256)
        folder = scratch / found.release.full_name
        unpack(archive, folder)
        return bundles.load(folder)
    try:
        return bundles.load(bundles.find(manifest.name))
    except UserError:
        return None


def refuse_old(catalogue: Catalogue, bundle: Bundle, channel: Channel, again: bool) -> None:
    """Refuse a version that is not newer than what is published, unless `again`. Raises `UserError`."""
    found = newest(catalogue.listed(), bundle.manifest.name, channel)
    if found is None or again or BundleName.parse(bundle.full_name) > found.release.name:
        return
    raise UserError(
        f"{bundle.full_name} is not newer than {found.release.full_name}, which is published; "
        "to go back to it: roomtone fleet withdraw, or --again"
    )


def latest_but(targets: list[Target], withdrawn: BundleName) -> Target | None:
    """Return the newest release of the same family and another version, which a withdrawal goes back to, or None."""
    mine = [t for t in targets if t.release.family == withdrawn.family and t.release.name != withdrawn]
    return max(mine, key=lambda target: target.release.release, default=None)
