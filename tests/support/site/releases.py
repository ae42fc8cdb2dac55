"""Small archives and releases for the tests of the store."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from edge.releases.metadata import Device, Release, Target
from edge.releases.store.model_store import Store
from edge.releases.store.state import Candidate, manifest_sha256

HERE = Device("kitchen", "base", runtime="litert", architecture="aarch64")


def archive(version: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, data in (
            ("manifest.json", version.encode()),
            ("model.tflite", bytes(5000)),
            ("plots/confusion.png", b"png"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def target(number: int, version: str = "", data: bytes = b"", **changes: object) -> Target:
    version = version or f"1.0.{number}"
    release = Release(
        **(
            {
                "release": number,
                "family": "base",
                "version": version,
                "runtimes": ("litert",),
                "architectures": ("aarch64", "x86_64"),
                "min_daemon": "0.1.0",
                "model_sha256": hashlib.sha256(version.encode()).hexdigest(),
            }
            | changes
        )
    )
    data = data or archive(version)
    return Target(release, hashlib.sha256(data).hexdigest(), len(data))


def bring(store: Store, one: Target) -> Candidate:
    """Up to a validation that everything passes."""
    candidate = store.select(one)
    if candidate.stage == "selected":
        path = store.archive_of(candidate.slot)
        path.write_bytes(archive(one.release.version))
        candidate = store.mark_downloaded(candidate)
    if candidate.stage == "downloaded":
        candidate = store.unpack(candidate)
    if candidate.stage == "unpacked":
        candidate = store.mark_validated(
            store.validation_started(candidate), manifest_sha256(store.path(candidate.slot))
        )
    return candidate


def model_of(store: Store) -> str:
    """What an ear would load: the manifest's text, or `factory`."""
    slot = store.state.current
    if slot is None:
        return "factory"
    folder: Path = store.path(slot)
    assert (folder / "model.tflite").stat().st_size == 5000
    return (folder / "manifest.json").read_text()
