"""The repository at the hub: snapshot and timestamp are signed here, root and targets only checked.

    updates/  metadata/N.root.json ... timestamp.json   targets/HASH.NAME   online.key (0600)   token.sha256

An attacker who controls the hub can withhold new models until the online key is changed, and cannot make a device run
anything (docs/updates.md). The format is TUF 1.0 (https://theupdateframework.github.io).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.exceptions import StorageError
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.repository import Repository

from edge.releases.metadata import MAX_ARCHIVE_BYTES
from edge.util.atomic_file import move_into_place, write
from edge.util.errors import UserError, reason
from edge.util.guarded_clock import GuardedClock
from edge.util.system_clock import boottime
from edge.util.timestamps import rfc3339
from provisioning.publish.catalogue import load_metadata

TIMESTAMP_DAYS: Final = 3
SNAPSHOT_DAYS: Final = 14
CLOCK_TOLERANCE: Final = timedelta(hours=1)
MAX_OFF_S: Final = 90 * 86_400.0
"""A hub that was off for longer signs by its clock only after a while (`GuardedClock`)."""
MAX_METADATA: Final = 2_000_000
METADATA_NAME: Final = re.compile(r"(?:([1-9]\d{0,8})\.)?(root|targets|snapshot|timestamp)\.json\Z")
TARGET_NAME: Final = re.compile(r"([0-9a-f]{64})\.[a-z0-9][a-z0-9.-]{0,80}\.tar\Z")


class RefusedError(UserError):
    """An upload is refused; nothing has changed."""


class HubRepository(Repository):
    """The repository in a folder that exists; a lock keeps two processes from signing at once. Raises `UserError`.

    `now` is UTC; what is signed or compared with it is guarded by monotonic progress (`steady`, in seconds), so that a
    clock that is set wrong does not sign metadata for years.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = boottime,
        max_off_s: float = MAX_OFF_S,
    ) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.targets_folder = folder / "targets"
        self._wall, self._steady, self._max_off_s = now, steady, max_off_s
        self._guard: GuardedClock | None = None
        self._thread_lock = threading.RLock()
        self._inside = False
        try:
            for made in (self.metadata, self.targets_folder):
                made.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{error.filename}: {reason(error)}") from None

    def _now(self) -> datetime:
        """The guarded time; the hub may have been off since its last signature, for `max_off_s` at most."""
        if self._guard is None:
            self._guard = GuardedClock(
                self._signed_at(),
                allowance_s=self._max_off_s,
                wall=lambda: self._wall().timestamp(),
                steady=self._steady,
            )
        return datetime.fromtimestamp(self._guard.now(), UTC)

    def _signed_at(self) -> float | None:
        path = self.metadata / "timestamp.json"
        if not path.exists():
            return None
        expires: datetime = self.open(Timestamp.type).signed.expires
        return (expires - timedelta(days=TIMESTAMP_DAYS)).timestamp()

    def has_keys(self) -> bool:
        """Whether `fleet keys init` has set this repository up; before that there is nothing to serve or to sign."""
        return self._newest(Root.type) is not None

    # --- what Repository asks for ---

    def open(self, role: str) -> Metadata[Any]:
        """Return the newest metadata of a role; new metadata for the first snapshot and timestamp.

        Raises `UserError` for another role that has none.
        """
        if role == Timestamp.type:
            path: Path | None = self.metadata / "timestamp.json"
        else:
            path = self._newest(role)
        if path is not None and path.exists():
            return load_metadata(path)
        if role in (Snapshot.type, Timestamp.type):
            first: Metadata[Any] = Metadata(Snapshot() if role == Snapshot.type else Timestamp())
            first.signed.version = 0
            return first
        raise UserError(f"{self.metadata}: no {role}.json; make the keys with `roomtone fleet keys init`")

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign a new version of snapshot or timestamp with the online key, and write it."""
        days = TIMESTAMP_DAYS if role == Timestamp.type else SNAPSHOT_DAYS
        md.signed.version += 1
        md.signed.expires = (self._now() + timedelta(days=days)).replace(microsecond=0)
        md.sign(self._signer())
        name = "timestamp.json" if role == Timestamp.type else f"{md.signed.version}.{role}.json"
        write(self.metadata / name, md.to_bytes(), 0o644)

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """The versions of the targets metadata that the snapshot contains."""
        return {"targets.json": MetaFile(self.open(Targets.type).signed.version)}

    @property
    def snapshot_info(self) -> MetaFile:
        """The version of the snapshot that the timestamp contains."""
        return MetaFile(self.open(Snapshot.type).signed.version)

    # --- what is uploaded ---

    def accept_root(self, data: bytes) -> int:
        """Accept the next root, signed by the keys of the present one and its own; return its version.

        Raises `RefusedError`.
        """
        with self._locked():
            new = _parsed(data, Root)
            newest = self._newest(Root.type)
            if newest is not None:
                old = Metadata.from_file(str(newest)).signed
                if newest.read_bytes() == data:
                    return int(old.version)
                if new.signed.version != old.version + 1:
                    raise RefusedError(
                        f"root version {new.signed.version}: the next one is {old.version + 1}"
                    )
                self._verified(old, Root.type, new)
            self._verified(new.signed, Root.type, new)
            write(self.metadata / f"{new.signed.version}.root.json", data, 0o644)
            return int(new.signed.version)

    def accept_targets(self, data: bytes) -> int:
        """Accept the next list of targets, whose files must exist, and publish a timestamp; return its version.

        Raises `RefusedError`.
        """
        with self._locked():
            new = _parsed(data, Targets)
            self._verified(self.root(), Targets.type, new)
            newest = self._newest(Targets.type)
            version = new.signed.version
            if newest is not None and newest.read_bytes() == data:
                self.publish()
                return int(version)
            # Versions may be skipped: lists that were never uploaded.
            if newest is not None and version <= self.open(Targets.type).signed.version:
                raise RefusedError(f"targets version {version} is not newer than what is here")
            for path, info in new.signed.targets.items():
                name = f"{info.hashes.get('sha256', '')}.{path}"
                if not TARGET_NAME.match(name) or not (self.targets_folder / name).is_file():
                    raise RefusedError(
                        f"{name[:100]!r}: the file of this target is not here: upload it first"
                    )
            write(self.metadata / f"{version}.targets.json", data, 0o644)
            self.publish()
            return int(version)

    def target_path(self, name: str) -> Path:
        """Return the path of an uploaded archive. Raises `RefusedError` for an invalid name."""
        if not TARGET_NAME.match(name):
            raise RefusedError(f"{name[:100]!r}: a target is called HASH.NAME.tar")
        return self.targets_folder / name

    def accept_target(self, name: str, beside: Path) -> None:
        """Accept an archive that was uploaded to the file `beside`; its hash must be in its name.

        Raises `RefusedError`, `OSError`.
        """
        path = self.target_path(name)
        if beside.stat().st_size > MAX_ARCHIVE_BYTES:
            raise RefusedError(f"{name}: more than {MAX_ARCHIVE_BYTES >> 20} MiB")
        with beside.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != name.partition(".")[0]:
            raise RefusedError(f"{name}: its sha256 is {found}: damaged on the way")
        beside.chmod(0o644)
        move_into_place(beside, path)

    # --- signing ---

    def publish(self) -> int:
        """Sign a snapshot and timestamp of the present contents; return the timestamp's version."""
        with self._locked():
            self.do_snapshot()
            self.do_timestamp()
            return int(self.timestamp().version)

    def refresh(self, force: bool = False) -> int:
        """Sign snapshot and timestamp anew where they need it; returns the timestamp's version.

        They need it when half of their lifetime is over, when they are valid for too long (signed by a
        wrong clock), or when the online key has changed. `force` signs the timestamp in any case.
        Raises `UserError` where the online key cannot be read, or before the keys are set up.
        """
        with self._locked():
            now = self._now()
            self.do_snapshot(force=_is_due(self.snapshot().expires, SNAPSHOT_DAYS, now))
            self.do_timestamp(force=force or _is_due(self.timestamp().expires, TIMESTAMP_DAYS, now))
            return int(self.timestamp().version)

    def status(self) -> dict[str, Any]:
        """Return the versions and expiry dates of all roles as JSON values."""
        parts = {role: self.open(role).signed for role in ("root", "targets", "snapshot", "timestamp")}
        return {
            role: {"version": one.version, "expires": rfc3339(one.expires)} for role, one in parts.items()
        }

    def is_operator(self, token: str) -> bool:
        """Return whether `token` is the operator's, which permits uploads; False if its stored hash is damaged."""
        try:
            known = (self.folder / "token.sha256").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return False
        return len(known) == 64 and hmac.compare_digest(known, hashlib.sha256(token.encode()).hexdigest())

    def _signer(self) -> CryptoSigner:
        path = self.folder / "online.key"
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path}: the online key cannot be read ({error})") from None
        assert isinstance(key, Ed25519PrivateKey)
        return CryptoSigner(key)

    def _verified(self, by: Root, role: str, new: Metadata[Any]) -> None:
        try:
            by.verify_delegate(role, new.signed_bytes, new.signatures)
        except (RepositoryError, ValueError) as error:
            raise RefusedError(f"{role}: {error}") from None
        if new.signed.is_expired(self._now()):
            raise RefusedError(f"{role}: expired on {new.signed.expires:%Y-%m-%d}: sign it again")

    def _newest(self, role: str) -> Path | None:
        found = {
            int(match[1]): path
            for path in self.metadata.iterdir()
            if (match := METADATA_NAME.match(path.name)) and match[1] and match[2] == role
        }
        return found[max(found)] if found else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._thread_lock:
            if self._inside:
                yield
                return
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._inside = True
                yield
            finally:
                self._inside = False
                os.close(descriptor)


def _is_due(expires: datetime, days: float, now: datetime) -> bool:
    """Whether half of its time is over, or it was signed by a clock that was wrong and is valid for too long."""
    left = expires - now
    return left < timedelta(days=days) / 2 or left > timedelta(days=days) + CLOCK_TOLERANCE


def _parsed(data: bytes, kind: type) -> Metadata[Any]:
    if len(data) > MAX_METADATA:
        raise RefusedError(f"more than {MAX_METADATA} bytes of metadata")
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
    except (RepositoryError, StorageError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"not TUF metadata: {error}") from None
    if not isinstance(found.signed, kind):
        raise RefusedError(f"this is {found.signed.type}, not {kind.__name__.lower()}")
    return found
