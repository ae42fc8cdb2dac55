"""A release: the signed custom metadata of a target, and which release a device selects.

The number of a release only ever rises. Its bytes may be old ones: that is how an administrator rolls back.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from packaging.version import Version as ParsedVersion

from edge.protocol import NodeId, Sha256
from edge.protocol.bundle_name import FAMILY_PATTERN, VERSION_PATTERN, BundleName
from edge.util.errors import UserError
from edge.util.text.patterns import in_words, pattern
from edge.util.version import VERSION

KEY: Final = "roomtone"
"""Under this key of a target's `custom` object."""
MAX_ARCHIVE_BYTES: Final = 96 << 20
"""A bundle's model may have 64 MiB, and a Pi has little more to spare."""
RUNTIMES: Final = (("ai-edge-litert", "litert"), ("tflite-runtime", "tflite-runtime"))

Channel = Literal["stable", "beta"]
Family = Annotated[str, pattern(rf"^{FAMILY_PATTERN}\Z", "a family of models such as base")]
Version = Annotated[str, pattern(rf"^{VERSION_PATTERN}\Z", "a version such as 0.3.0")]
Number = Annotated[int, Meta(ge=1, le=2**31)]


class Release(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a release says about its model, signed as custom metadata of a TUF target.

    Unknown keys are ignored, so that older devices understand newer publishers.
    """

    release: Number
    """Rises with every publication, also where the bytes are old ones."""
    family: Family
    """Family of the bundle, such as `base` or `small`."""
    version: Version
    channel: Channel = "stable"
    runtimes: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]
    """Interpreters that can run it: `litert`, `tflite-runtime`."""
    architectures: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]
    """As `uname -m` says, or `any`."""
    min_daemon: Version
    model_sha256: Sha256
    """Of `model.tflite`."""
    nodes: tuple[NodeId, ...] = ()
    """Only these devices; empty: all."""
    percent: Annotated[int, Meta(ge=0, le=100)] = 100
    """Share of them, by a hash of name and release: a device in the first 10 % is in the first 20 %, too."""
    forced: Annotated[str, Meta(max_length=500)] = ""
    """Why it was published although the comparison was against it."""
    withdraws: Annotated[str, Meta(max_length=64)] = ""
    """The version that this release withdraws."""

    @property
    def name(self) -> BundleName:
        """Family and version of the bundle."""
        return BundleName(self.family, ParsedVersion(self.version))

    @property
    def full_name(self) -> str:
        """Family and version as text, such as `base-1.1.0`."""
        return str(self.name)

    @property
    def path(self) -> str:
        """Name of the target in the repository."""
        return f"{self.full_name}.{self.release}.tar"

    def reaches(self, node: str) -> bool:
        """Whether the roll-out includes this device, by its node id."""
        return (not self.nodes or node in self.nodes) and bucket(node, self.release) < self.percent


@dataclass(frozen=True)
class Target:
    """A release with the hash and length of its archive."""

    release: Release
    sha256: str
    length: int


@dataclass(frozen=True)
class Device:
    """The properties of a device by which it selects a release."""

    node: str
    family: str
    channel: Channel = "stable"
    pin: str = ""
    floor: int = 0
    refused: Set[str] = field(default_factory=frozenset)
    """sha256 of targets and models that were refused or rolled back here."""
    runtime: str = ""
    """The interpreter, as `runtime` returns it."""
    architecture: str = field(default_factory=platform.machine)
    daemon: str = VERSION


@dataclass(frozen=True)
class Choice:
    """The release that a device has selected, or why none.

    `target`: the selected one, or None; `why_not`: why the newest one for this device was not selected; `elsewhere`: a
    newer release exists that is not meant for this device, which is no error.
    """

    target: Target | None
    newest: Target | None
    why_not: str = ""
    elsewhere: str = ""


def runtime() -> str:
    """Return the name of the installed interpreter, without loading it; empty where there is none."""
    import importlib.metadata  # not at the top: the ear imports this module, and never calls this

    for distribution, name in RUNTIMES:
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return name
    return ""


def bucket(node: str, release: int) -> int:
    """Return the bucket, 0 to 99, of a device in the roll-out of a release: a hash of both.

    A roll-out to N percent includes the devices in buckets below N. Buckets are uniform over devices and independent
    per release.
    """
    return int.from_bytes(hashlib.sha256(f"{release}:{node}".encode()).digest()[:4], "big") % 100


def read(path: str, custom: Any) -> Release:
    """Parse the custom metadata of a target. Raises `UserError`: what is signed may still be invalid."""
    try:
        release = msgspec.convert((custom or {}).get(KEY), Release)
    except (msgspec.ValidationError, AttributeError) as error:
        raise UserError(
            f"target {path[:80]!r}: its metadata is not that of a release ({in_words(error)})"
        ) from None
    if path != release.path:
        raise UserError(f"target {path[:80]!r}: its name should be {release.path!r}")
    return release


def choose(targets: Iterable[Target], device: Device) -> Choice:
    """Select the highest release above the floor that is meant for this device and can run on it."""
    fitting = [
        target
        for target in targets
        if target.release.family == device.family
        and target.release.channel in {"stable", device.channel}
        and (not device.pin or target.release.version == device.pin)
    ]
    fitting.sort(key=lambda target: target.release.release, reverse=True)
    mine = [target for target in fitting if target.release.reaches(device.node)]
    newest = mine[0] if mine else None
    elsewhere = ""
    if fitting and fitting[0] is not newest and fitting[0].release.release > device.floor:
        about = fitting[0].release
        elsewhere = f"{about.full_name}, release {about.release}, is not meant for this device, or not yet"
    why = ""
    for target in mine:
        if {target.sha256, target.release.model_sha256} & set(device.refused):
            why = (
                why or f"{target.release.full_name}: was rolled back here before, and is not installed again"
            )
            continue
        if target.release.release <= device.floor:
            break
        reason = _obstacle(target, device)
        if not reason:
            return Choice(target, newest, why)
        why = why or f"{target.release.full_name}: {reason}"
    return Choice(None, newest, why, elsewhere)


def _obstacle(target: Target, device: Device) -> str:
    release = target.release
    if target.length > MAX_ARCHIVE_BYTES:
        return f"is {target.length >> 20} MiB, more than {MAX_ARCHIVE_BYTES >> 20} MiB"
    if ParsedVersion(release.min_daemon) > ParsedVersion(device.daemon):
        return f"needs roomtone {release.min_daemon} or newer, this is {device.daemon}"
    if device.runtime not in release.runtimes:
        return f"needs {' or '.join(release.runtimes)}, here is {device.runtime or 'no interpreter'}"
    if not {"any", device.architecture} & set(release.architectures):
        return f"is for {', '.join(release.architectures)}, this is {device.architecture}"
    return ""
