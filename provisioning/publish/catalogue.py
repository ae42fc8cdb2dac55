"""What is published, as it is signed on the workstation: the roots, the list of targets, and the archives.

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
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from edge.protocol import NodeId
from edge.releases import metadata as releases
from edge.releases.metadata import Release, Target
from edge.util.atomic_file import write
from edge.util.errors import UserError

ROOT_DAYS: Final = 3650
TARGETS_DAYS: Final = 400
DUE_DAYS: Final = 60
CLOCK_TOLERANCE: Final = timedelta(days=1)
ROLES: Final = ("root", "targets", "snapshot", "timestamp")


class About(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was decided at `keys init`."""

    v: Literal[1] = 1
    profile: Literal["home", "site"] = "home"
    url: Annotated[str, Meta(pattern=r"^https://[^\s]+\Z", max_length=1024)]
    """Where the hub serves the repository."""
    ca: Annotated[str, Meta(max_length=16_384)] = ""
    """Who signed the hub's certificate, PEM; empty: the site itself, or a public authority."""
    groups: dict[str, tuple[NodeId, ...]] = {}


class Catalogue:
    """The folder. Raises `UserError` where there is none. `now` is UTC."""

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
            raise UserError(f"{folder / 'about.json'}: {error}") from None

    def save_about(self, about: About) -> None:
        """Writes it."""
        self.about = about
        write(self.folder / "about.json", msgspec.json.format(msgspec.json.encode(about)), 0o600)

    # --- roots ---

    def root(self) -> Metadata[Root]:
        """The newest root that enough keys have signed."""
        return self._load("root")

    def roots(self) -> list[Path]:
        """All of them in order."""
        return [path for _, path in sorted(self._versions("root").items())]

    def pending(self) -> Path:
        """Return the path of the TUF root metadata that lacks signatures; the file exists only while one is waiting."""
        return self.folder / "root.pending.json"

    def sign_root(self, new: Metadata[Root], signers: Sequence[Signer]) -> bool:
        """Adds signatures; False while there are too few, and then it waits in `root.pending.json`.

        A new root is signed by enough keys of the one before and by enough of its own.
        """
        for signer in signers:
            new.sign(signer, append=True)
        old = self._versions("root")
        try:
            if old:
                self.root().signed.verify_delegate("root", new.signed_bytes, new.signatures)
            new.signed.verify_delegate("root", new.signed_bytes, new.signatures)
        except RepositoryError:
            write(self.pending(), new.to_bytes(), 0o644)
            return False
        write(self.metadata / f"{new.signed.version}.root.json", new.to_bytes(), 0o644)
        self.pending().unlink(missing_ok=True)
        return True

    def next_root(self) -> Metadata[Root]:
        """The newest root with the next number and no signatures."""
        new = self.root()
        new.signatures.clear()
        new.signed.version += 1
        new.signed.expires = self.in_days(ROOT_DAYS)
        return new

    # --- targets ---

    def targets(self) -> Metadata[Targets]:
        """The newest list of targets."""
        return self._load("targets")

    def listed(self) -> list[Target]:
        """What is in it, by release. Raises `UserError` for metadata that is not ours."""
        found = [
            Target(releases.read(path, info.custom), info.hashes["sha256"], info.length)
            for path, info in self.targets().signed.targets.items()
        ]
        return sorted(found, key=lambda target: target.release.release)

    def find(self, wanted: str) -> Target:
        """The newest release of a version (`1.1.0`) or a name (`base-1.1.0`). Raises `UserError`."""
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
        """A number that no release has had, withdrawn ones included."""
        custom = self.targets().signed.unrecognized_fields.get("x-roomtone-last-release", 0)
        return max([int(custom), *(target.release.release for target in self.listed())], default=0) + 1

    def sign_targets(
        self,
        signer: CryptoSigner,
        *,
        put: Sequence[tuple[Release, bytes | Path]] = (),
        drop: Sequence[str] = (),
    ) -> int:
        """A new version of the list: some targets added or replaced, some taken away. Returns its version."""
        last = self.next_release() - 1
        new = self.targets()
        new.signatures.clear()
        for path in drop:
            new.signed.targets.pop(path, None)
        for about, data in put:
            content = data.read_bytes() if isinstance(data, Path) else data
            info = TargetFile.from_data(about.path, content, ["sha256"])
            info.unrecognized_fields["custom"] = {releases.KEY: msgspec.to_builtins(about)}
            new.signed.targets[about.path] = info
            archive = self.archive(about.path, info.hashes["sha256"])
            if not archive.exists():
                write(archive, content, 0o644)
            last = max(last, about.release)
        new.signed.unrecognized_fields["x-roomtone-last-release"] = last
        new.signed.version += 1
        new.signed.expires = self.in_days(TARGETS_DAYS)
        new.sign(signer)
        try:
            self.root().signed.verify_delegate("targets", new.signed_bytes, new.signatures)
        except RepositoryError as error:
            raise UserError(f"this key may not sign targets: {error}") from None
        write(self.metadata / f"{new.signed.version}.targets.json", new.to_bytes(), 0o644)
        return int(new.signed.version)

    def archive(self, path: str, sha256: str) -> Path:
        """Where the bytes of a target are."""
        return self.bundles / f"{sha256}.{path}"

    def targets_count(self) -> bool:
        """Whether the newest root believes the newest list: not after a change of keys that was cut off."""
        new = self.targets()
        try:
            self.root().signed.verify_delegate("targets", new.signed_bytes, new.signatures)
        except RepositoryError:
            return False
        return True

    def due(self, days: int = DUE_DAYS) -> list[str]:
        """Offline roles that end soon."""
        return [r for r in ("root", "targets") if self._load(r).signed.expires < self.in_days(days)]

    def in_days(self, days: float) -> datetime:
        """A time in so many days, to the second. Raises `UserError` where the clock cannot be right."""
        now = self._now()
        signed = self._signed_at()
        if signed is not None and not -CLOCK_TOLERANCE <= now - signed <= timedelta(days=ROOT_DAYS):
            raise UserError(
                f"the clock of this computer says {now:%Y-%m-%d}, and the newest metadata was signed on "
                f"{signed:%Y-%m-%d}: set the clock"
            )
        return (now + timedelta(days=days)).replace(microsecond=0)

    def _signed_at(self) -> datetime | None:
        """When root or targets were last signed."""
        times = [
            self._load(role).signed.expires - timedelta(days=days)
            for role, days in (("root", ROOT_DAYS), ("targets", TARGETS_DAYS))
            if self._versions(role)
        ]
        return max(times, default=None)

    def _versions(self, role: str) -> dict[int, Path]:
        return {
            int(match[1]): path
            for path in self.metadata.iterdir()
            if (match := re.fullmatch(rf"(\d+)\.{role}\.json", path.name))
        }

    def _load(self, role: str) -> Metadata[Any]:
        found = self._versions(role)
        if not found:
            raise UserError(f"{self.metadata}: no {role}.json")
        return Metadata.from_file(str(found[max(found)]))


def newest(targets: Sequence[Target], family: str, channel: str) -> Target | None:
    """The newest release for the devices of a family and channel."""
    mine = [t for t in targets if t.release.family == family and t.release.channel in ("stable", channel)]
    return max(mine, key=lambda target: target.release.release, default=None)
