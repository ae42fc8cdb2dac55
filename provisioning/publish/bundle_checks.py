"""What `fleet publish` asks of a bundle before it is signed, and what it then says of it."""

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
EVERYWHERE: Final = Budget(window_ms=60_000, times_reference=1e6, memory_mb=4096)
"""A workstation is no box: only what is wrong everywhere counts here."""


def about(bundle: Bundle, number: int, channel: Channel, **more: Any) -> Release:
    """The custom metadata of a bundle. Full-int8 graphs run on every interpreter, others on LiteRT alone."""
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


def check(bundle: Bundle, champion: Bundle | None, data: Path | None, *, protocols: list[str]) -> str:
    """What speaks against publishing; empty: nothing. Raises `UserError` where it cannot be found out."""
    request = ValidationRequest(
        bundle=str(bundle.path), name=bundle.full_name, model_sha256=bundle.sha256, budget=EVERYWHERE
    )
    # In a process of its own, as on a device: some files take the interpreter down with them.
    result = client.validate(request, None)
    if result.verdict is None and not result.reached:
        raise UserError(f"{bundle.full_name} cannot be tried: {result.failure}")
    if result.verdict is None:
        return f"it fails its own golden outputs: {result.failure}"
    if not result.verdict.ok:
        return f"it fails its own golden outputs: {result.verdict.reason}"
    if champion is None or champion.sha256 == bundle.sha256:
        return ""
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if folder is None:
        return (
            f"it was not compared with {champion.full_name}: name the recordings with --data "
            f"(or in {DATA_VARIABLE})"
        )
    try:
        from training.evaluate import compare
    except ModuleNotFoundError as error:
        raise UserError(f"the comparison needs {error.name}: pip install 'roomtone[training]'") from None
    found = compare.run(champion, bundle, folder, protocols)
    return str(found["sentence"]) if found["verdict"] == "worse" else ""


def champion_of(catalogue: Catalogue, bundle: Bundle, channel: Channel, scratch: Path) -> Bundle | None:
    """What boxes run now: the newest that is published for them, else the one that they were shipped with."""
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
    """A version is published once, and they rise; anything else is a roll-back, and has to be said. Raises."""
    found = newest(catalogue.listed(), bundle.manifest.name, channel)
    if found is None or again or BundleName.parse(bundle.full_name) > found.release.name:
        return
    raise UserError(
        f"{bundle.full_name} is not newer than {found.release.full_name}, which is published; "
        "to go back to it: roomtone fleet withdraw, or --again"
    )


def latest_but(targets: list[Target], withdrawn: BundleName) -> Target | None:
    """The newest release of the same family and another version: what a withdrawal goes back to."""
    mine = [t for t in targets if t.release.family == withdrawn.family and t.release.name != withdrawn]
    return max(mine, key=lambda target: target.release.release, default=None)
