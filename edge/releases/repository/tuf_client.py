"""The TUF client of a device (python-tuf), which starts from an installed root: no trust on first use.

Each refusal is explained in plain words, since the reader may be under attack.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from edge.releases import metadata as releases
from edge.releases.metadata import MAX_ARCHIVE_BYTES, Target
from edge.releases.repository.download import SlowError
from edge.releases.update_service.messages import Code
from edge.util.atomic_file import move_into_place, sync_folder
from edge.util.errors import UserError, reason

MAX_ROOT: Final = 64 << 10
MAX_VALID: Final = timedelta(days=60)
"""A hub signs its metadata for 3 and 14 days (`provisioning.publish.hub_repository`)."""
LIMITS: Final = UpdaterConfig(
    max_root_rotations=64, max_delegations=0, root_max_length=64 << 10, timestamp_max_length=16 << 10,
    snapshot_max_length=64 << 10, targets_max_length=1 << 20, app_user_agent="roomtone",
)  # fmt: skip


EXPLANATIONS: Final[tuple[tuple[tuple[type[Exception], ...], Code, str], ...]] = (
    (
        (ExpiredMetadataError,), "expired",
        "expired: not renewed in time (is the hub running?), or newer metadata is withheld (freeze attack)",
    ),
    (
        (BadVersionNumberError, EqualVersionNumberError), "rollback",
        "older than or different from what is expected: rollback or mix-and-match attack refused",
    ),
    ((UnsignedMetadataError,), "unsigned", "not signed by enough of the keys that this device trusts"),
    ((DownloadLengthMismatchError,), "endless", "longer than allowed: endless data attack refused"),
    ((LengthOrHashMismatchError,), "tampered", "not the signed bytes: tampered with or damaged"),
    ((SlowError,), "slow", "too slow: slow retrieval attack, or a bad connection; given up"),
    ((DownloadHTTPError,), "not-served", "the hub does not serve it"),
    ((DownloadError,), "unreachable", "the hub cannot be reached"),
    ((Exception,), "invalid", "invalid metadata"),
)  # fmt: skip
"""Exceptions of python-tuf, the first that fits, with a code for programs and a text for an administrator."""


class UpdateError(UserError):
    """The repository cannot be used or verified; the text says why, `code` says it to programs."""

    def __init__(self, text: str, code: Code) -> None:
        super().__init__(text)
        self.code = code


class Fetcher(Protocol):
    """The methods that are needed beyond `tuf.ngclient.FetcherInterface`."""

    def resume(self, url: str, path: Path, length: int, progress: Callable[[int], None]) -> None:
        """Download `length` bytes into `path`, resuming an earlier attempt. Raises `DownloadError`."""


class Client:
    """A client of the repository at `url`.

    Args:
        url: where the hub serves `metadata/` and `targets/`.
        root_file: the first trusted root metadata.
        cache: folder for verified metadata; it may be lost.
        fetcher: downloads; `HttpsFetcher` except in tests.

    Raises `UpdateError`.
    """

    def __init__(self, url: str, root_file: Path, cache: Path, fetcher: Any) -> None:
        self._base = url.rstrip("/")
        self._fetcher = fetcher
        self._infos: dict[str, TargetFile] = {}
        self.skipped = ""
        """Why a target was skipped whose signature is valid and whose metadata is not; empty: none was."""
        try:
            trusted = root_file.read_bytes()[: MAX_ROOT + 1]
        except OSError as error:
            raise UpdateError(
                f"{root_file}: {reason(error)}; without the site's root metadata nothing can be verified",
                "no-root",
            ) from None
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        try:
            self._updater = Updater(
                metadata_dir=str(cache),
                metadata_base_url=f"{self._base}/metadata/",
                fetcher=fetcher,
                config=LIMITS,
                bootstrap=trusted,
            )
        except (RepositoryError, OSError, ValueError) as error:
            raise UpdateError(
                f"{root_file}: not root metadata made by `roomtone fleet keys` ({error})", "no-root"
            ) from None

    def refresh(self) -> list[Target]:
        """Verify the newest metadata and list what is published. Raises `UpdateError`."""
        try:
            self._updater.refresh()
            self._check_expiry()
            listed = Metadata[Targets].from_file(str(self._cache / "targets.json")).signed.targets
            found = []
            for path in listed:
                info = self._updater.get_targetinfo(path)
                if info is None or "sha256" not in info.hashes:
                    continue
                try:
                    about = releases.read(path, info.custom)
                except UserError as error:
                    self.skipped = str(error)
                    continue
                self._infos[path] = info
                found.append(Target(about, info.hashes["sha256"], info.length))
        except (RepositoryError, DownloadError) as error:
            raise explained(error) from None
        except OSError as error:
            raise UpdateError(f"{error.filename or self._cache}: {reason(error)}", "disk") from None
        finally:
            sync_folder(self._cache)
        return found

    def _check_expiry(self) -> None:
        """Check that a hub can have signed for so long. Raises `UpdateError`.

        Who has stolen the online key could otherwise sign once for years, and withhold every release from a device
        whose network he controls, also after the key was changed.
        """
        signed = (
            Metadata[Timestamp].from_file(str(self._cache / "timestamp.json")).signed,
            Metadata[Snapshot].from_file(str(self._cache / "snapshot.json")).signed,
        )
        for one in signed:
            if one.expires - datetime.now(UTC) > MAX_VALID:
                raise UpdateError(
                    f"{one.type}: valid until {one.expires:%Y-%m-%d}, longer than a hub signs: freeze attack refused",
                    "invalid",
                )

    def timestamp_version(self) -> int:
        """Version of the timestamp metadata that `refresh` has verified."""
        return int(Metadata[Timestamp].from_file(str(self._cache / "timestamp.json")).signed.version)

    def download(self, target: Target, path: Path, progress: Callable[[int], None]) -> None:
        """Download and verify a target's archive. Raises `UpdateError`; then `path` does not exist."""
        info = self._infos[target.release.path]
        if info.length > MAX_ARCHIVE_BYTES:
            raise UpdateError(
                f"{info.path}: {info.length} bytes are more than a device accepts: oversized target",
                "oversized",
            )
        part = path.with_name(f"{path.name}.part")
        url = f"{self._base}/targets/{info.hashes['sha256']}.{info.path}"
        try:
            self._fetcher.resume(url, part, info.length, progress)
            with part.open("rb") as file:
                info.verify_length_and_hashes(file)
        except (LengthOrHashMismatchError, DownloadLengthMismatchError) as error:
            # Resuming would not repair wrong bytes.
            part.unlink(missing_ok=True)
            raise explained(error, info.path) from None
        except DownloadError as error:
            if isinstance(error, DownloadHTTPError):
                part.unlink(missing_ok=True)
            raise explained(error, info.path) from None
        except OSError as error:
            raise UpdateError(f"{part}: {reason(error)}", "disk") from None
        move_into_place(part, path)


def explained(error: Exception, what: str = "") -> UpdateError:
    """Explain an exception of python-tuf, which happened to the file `what`."""
    code, meaning = next((c, m) for kinds, c, m in EXPLANATIONS if isinstance(error, kinds))
    return UpdateError(f"{what}: {meaning} ({_line(error)})".removeprefix(": "), code)


def _line(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error)[:200])
