"""What a site has published, on the workstation: the signed roots, the signed list of targets, and the archives.

`provisioning.publish.signing` adds to it.

    site/models/  root.key targets.key  metadata/N.root.json N.targets.json  bundles/HASH.NAME.tar  about.json  hub/

Two profiles: `home` has one root key, `site` three of which two have to sign. Signatures of several people are gathered
on `N.root.json`, one after another, before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from securesystemslib.exceptions import StorageError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from edge.config.settings import HttpsUrl
from edge.protocol import NodeId
from edge.releases import metadata as releases
from edge.releases.metadata import Target
from edge.util.atomic_file import write
from edge.util.errors import UserError
from edge.util.text.patterns import in_words

ROOT_DAYS: Final = 3650
TARGETS_DAYS: Final = 400
DUE_DAYS: Final = 60
CLOCK_TOLERANCE: Final = timedelta(days=1)
Dated = Literal["root", "targets"]
LIFETIME_DAYS: Final[dict[Dated, int]] = {"root": ROOT_DAYS, "targets": TARGETS_DAYS}
"""Of what the workstation signs: its expiry says when it was signed."""
ROLES: Final = ("root", "targets", "snapshot", "timestamp")


class About(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Decisions of `fleet keys init`: profile, address of the hub, and groups of devices."""

    v: Literal[1] = 1
    profile: Literal["home", "site"] = "home"
    url: HttpsUrl
    """Where the hub serves the repository."""
    ca: Annotated[str, Meta(max_length=16_384)] = ""
    """Who signed the hub's certificate, PEM; empty: the site itself, or a public authority."""
    groups: dict[str, tuple[NodeId, ...]] = {}
    misdated: dict[Dated, int] = {}
    """The newest version of each role that was signed under a wrong clock: `fleet refresh --clock-is-right`."""


class Catalogue:
    """The folder `site/models`, for reading. Raises `UserError` where there is none. `now` returns the time in UTC."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.bundles = folder / "bundles"
        self.hub = folder / "hub"
        self._now = now
        try:
            self.about = msgspec.json.decode((folder / "about.json").read_bytes(), type=About)
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no keys for models; make them with `roomtone fleet keys init`"
            ) from None
        except (OSError, msgspec.MsgspecError) as error:
            raise UserError(f"{folder / 'about.json'}: {in_words(error)}") from None

    def save_about(self, about: About) -> None:
        """Replace `about.json`. Raises `OSError`."""
        self.about = about
        write(self.folder / "about.json", msgspec.json.format(msgspec.json.encode(about)), 0o600)

    # --- roots ---

    def root(self) -> Metadata[Root]:
        """Return the newest root metadata that enough keys have signed. Raises `UserError` where there is none."""
        return self._load("root")

    def roots(self) -> list[Path]:
        """Return the paths of all root metadata, oldest first."""
        return [path for _, path in sorted(self.versions("root").items())]

    def pending(self) -> Path:
        """Return the path of the TUF root metadata that lacks signatures; the file exists only while one is waiting."""
        return self.folder / "root.pending.json"

    # --- targets ---

    def targets(self) -> Metadata[Targets]:
        """Return the newest list of targets. Raises `UserError` where there is none."""
        return self._load("targets")

    def listed(self) -> list[Target]:
        """Return the published targets, ordered by release number.

        Raises `UserError` where there is no list of targets, where one of them is no release, and for a
        damaged file.
        """
        found = [
            Target(releases.read(path, info.custom), info.hashes["sha256"], info.length)
            for path, info in self.targets().signed.targets.items()
        ]
        return sorted(found, key=lambda target: target.release.release)

    def find(self, wanted: str) -> Target:
        """Return the newest release of a version (`1.1.0`) or a name (`base-1.1.0`).

        Raises `UserError` where it is not published, or where the version is published for two families.
        """
        found = [t for t in self.listed() if wanted in (t.release.version, t.release.full_name)]
        if not found:
            known = ", ".join(dict.fromkeys(t.release.full_name for t in self.listed()))
            raise UserError(f"{wanted} is not published; published are: {known or 'none'}")
        if len({target.release.family for target in found}) > 1:
            raise UserError(
                f"{wanted} is published as {', '.join(t.release.full_name for t in found)}: say which"
            )
        return found[-1]

    def next_release(self) -> int:
        """Return a release number that has never been used, not even by a withdrawn release."""
        custom = self.targets().signed.unrecognized_fields.get("x-roomtone-last-release", 0)
        return max([int(custom), *(target.release.release for target in self.listed())], default=0) + 1

    def archive(self, path: str, sha256: str) -> Path:
        """Return the path of the archive of a target, by its path and hash."""
        return self.bundles / f"{sha256}.{path}"

    def targets_trusted(self) -> bool:
        """Whether the newest root trusts the newest list of targets: not after a key rotation that was interrupted."""
        new = self.targets()
        try:
            self.root().signed.verify_delegate("targets", new.signed_bytes, new.signatures)
        except RepositoryError:
            return False
        return True

    def due(self, days: int = DUE_DAYS) -> list[str]:
        """Return the roles, of `root` and `targets`, whose metadata expires within so many days."""
        return [r for r in LIFETIME_DAYS if self._load(r).signed.expires < self.in_days(days)]

    def in_days(self, days: float) -> datetime:
        """Return the time in so many days, in whole seconds. Raises `UserError` where the clock cannot be right."""
        now = self._now()
        signed = self._signed_at()
        if signed is not None and not -CLOCK_TOLERANCE <= now - signed <= timedelta(days=ROOT_DAYS):
            raise UserError(
                f"the clock of this computer says {now:%Y-%m-%d}, and the newest metadata was signed on "
                f"{signed:%Y-%m-%d}: set the clock; if it was wrong then and is right now, add --clock-is-right"
            )
        return (now + timedelta(days=days)).replace(microsecond=0)

    def trust_clock(self) -> None:
        """Take the dates of all metadata so far as no evidence of the time. Raises `OSError`."""
        newest = {role: max(found) for role in LIFETIME_DAYS if (found := self.versions(role))}
        if newest != self.about.misdated:
            self.save_about(msgspec.structs.replace(self.about, misdated=newest))

    def _signed_at(self) -> datetime | None:
        times = [
            self._load(role).signed.expires - timedelta(days=days)
            for role, days in LIFETIME_DAYS.items()
            if max(self.versions(role), default=0) > self.about.misdated.get(role, 0)
        ]
        return max(times, default=None)

    def versions(self, role: str) -> dict[int, Path]:
        """Return the files of a role, `root` or `targets`, by version."""
        return {
            int(match[1]): path
            for path in self.metadata.iterdir()
            if (match := re.fullmatch(rf"(\d+)\.{role}\.json", path.name))
        }

    def _load(self, role: str) -> Metadata[Any]:
        found = self.versions(role)
        if not found:
            raise UserError(f"{self.metadata}: no {role}.json")
        return load_metadata(found[max(found)])


def load_metadata(path: Path) -> Metadata[Any]:
    """Read a file of metadata, whose signatures are not checked. Raises `UserError` for a damaged one."""
    try:
        return Metadata.from_file(str(path))
    except (RepositoryError, StorageError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: damaged or not readable ({error}): restore the folder from a copy"
        ) from None


def newest(targets: Sequence[Target], family: str, channel: str) -> Target | None:
    """Return the newest release for devices of a family on a channel; None where there is none."""
    mine = [t for t in targets if t.release.family == family and t.release.channel in ("stable", channel)]
    return max(mine, key=lambda target: target.release.release, default=None)
