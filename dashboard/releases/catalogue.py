"""The models that the dashboard shows: releases in the hub's repository, and the bundles of the package.

Nothing is unpacked: card and plots are read out of the archive, within limits, when they are requested.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.config import model_folders
from edge.protocol.bundle_name import BundleName
from edge.releases import archive, metadata
from edge.releases.metadata import Target
from edge.util.errors import UserError

if TYPE_CHECKING:
    from provisioning.publish.hub_repository import HubRepository

CARD: Final = model_folders.CARD
PLOTS: Final = "plots/"
MAX_CARD_BYTES: Final = 256 << 10
MAX_PLOT_BYTES: Final = 4 << 20
MAX_PLOTS: Final = 30
_plots: dict[Path, list[str]] = {}
PNG: Final = b"\x89PNG\r\n\x1a\n"


class MissingError(UserError):
    """There is no model of this name, or it lacks what was asked for."""


@dataclass(frozen=True)
class Model:
    """A model: a release with its archive, or the folder of an installed bundle."""

    name: str
    """`base-1.1.0.7.tar` for a release, `base-1.1.0` for a bundle of the package."""
    full_name: str
    size: int
    """Bytes of the archive, or of the TFLite file."""
    path: Path
    target: Target | None = None
    """None for a bundle of the package."""

    def plots(self) -> list[str]:
        """Return the file names of its plots, such as `confusion.png`; empty where the archive cannot be read."""
        if (known := _plots.get(self.path)) is not None:
            return known
        found = sorted(
            name.removeprefix(PLOTS)
            for name, size in self._parts()
            if name.startswith(PLOTS) and name.endswith(".png") and size <= MAX_PLOT_BYTES
        )
        if self.target is not None and found:  # The hash is in its name: what is in it never changes.
            _plots[self.path] = found[:MAX_PLOTS]
        return found[:MAX_PLOTS]

    def card(self) -> str:
        """Return the model card in Markdown. Raises `MissingError` where there is none."""
        return self._read(CARD, MAX_CARD_BYTES).decode("utf-8", "replace")

    def plot(self, name: str) -> bytes:
        """Return a plot as PNG. Raises `MissingError` where there is none, or where the file is no PNG."""
        content = self._read(f"{PLOTS}{name}", MAX_PLOT_BYTES)
        if not content.startswith(PNG):
            raise MissingError(f"{self.name}: {name[:80]!r} is not a picture")
        return content

    def _parts(self) -> Iterator[tuple[str, int]]:
        if self.target is None:
            for path in sorted(self.path.glob(f"{PLOTS}*")):
                yield path.relative_to(self.path).as_posix(), path.stat().st_size
            return
        with (
            contextlib.suppress(OSError, tarfile.TarError, ValueError),
            tarfile.open(self.path, "r:") as opened,
        ):
            for place, member in enumerate(opened):
                if place >= archive.MAX_FILES:
                    return
                if member.isfile():
                    yield member.name, member.size

    def _read(self, name: str, limit: int) -> bytes:
        missing = MissingError(f"{self.name} has no {name[:80]}")
        if not archive.NAME.match(name):
            raise missing
        try:
            if self.target is None:
                path = self.path / name
                if path.stat().st_size > limit:
                    raise missing
                return path.read_bytes()
            with tarfile.open(self.path, "r:") as opened:
                for place, member in enumerate(opened):
                    if place >= archive.MAX_FILES:
                        break
                    if member.name == name and member.isfile() and member.size <= limit:
                        part = opened.extractfile(member)
                        return b"" if part is None else part.read(limit)
        except (OSError, tarfile.TarError, ValueError):
            raise missing from None
        raise missing


class Releases:
    """The models that the hub can show; `repository` is None where the hub serves no repository."""

    def __init__(self, repository: HubRepository | None) -> None:
        self._repository = repository

    def published(self) -> list[Model]:
        """Return the releases of the signed list, newest first; empty before the keys are set up."""
        if self._repository is None:
            return []
        from tuf.api.metadata import Targets

        try:
            signed = self._repository.open(Targets.type).signed
        except UserError:
            return []
        found = []
        for path, info in signed.targets.items():
            with contextlib.suppress(UserError):  # Signed, but not a release: devices skip it, too.
                about = metadata.read(path, info.custom)
                sha256 = info.hashes["sha256"]
                file = self._repository.target_path(f"{sha256}.{path}")
                found.append(
                    Model(path, about.full_name, info.length, file, Target(about, sha256, info.length))
                )
        return sorted(found, key=_number, reverse=True)

    def shipped(self) -> list[Model]:
        """Return the installed bundles, by name: what devices without a release run."""
        found: dict[BundleName, Model] = {}
        for folder in (f for place in model_folders.places() if place.is_dir() for f in place.iterdir()):
            name, model = BundleName.parse_or_none(folder.name), folder / model_folders.MODEL
            if name is None or name in found:
                continue
            if (folder / model_folders.MANIFEST).is_file() and model.is_file():
                found[name] = Model(folder.name, folder.name, model.stat().st_size, folder)
        return [found[name] for name in sorted(found)]

    def find(self, name: str) -> Model:
        """Return a model by its name. Raises `MissingError`."""
        for model in (*self.published(), *self.shipped()):
            if model.name == name:
                return model
        raise MissingError(f"there is no model {name[:80]!r} here")


def _number(model: Model) -> int:
    return 0 if model.target is None else model.target.release.release
