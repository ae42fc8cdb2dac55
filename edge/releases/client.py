"""The repository as a box sees it: TUF by python-tuf, from a root that came with the box. No trust on first use.

What each refusal means is said in words, since the person who reads it may be under attack.
"""

from __future__ import annotations

from collections.abc import Callable
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
from tuf.api.metadata import Metadata, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from edge.releases import metadata as releases
from edge.releases.download import SlowError
from edge.releases.metadata import MAX_ARCHIVE_BYTES, Target
from edge.util.atomic_file import move_into_place, sync_folder
from edge.util.errors import UserError

MAX_ROOT: Final = 64 << 10
LIMITS: Final = UpdaterConfig(
    max_root_rotations=64, max_delegations=0, root_max_length=64 << 10, timestamp_max_length=16 << 10,
    snapshot_max_length=64 << 10, targets_max_length=1 << 20, app_user_agent="roomtone",
)  # fmt: skip


class UpdateError(UserError):
    """The repository cannot be used, or not believed; the text says what it did."""


class Fetcher(Protocol):
    """What is needed beyond `tuf.ngclient.FetcherInterface`."""

    def resume(self, url: str, path: Path, length: int, progress: Callable[[int], None]) -> None:
        """Fetches `length` bytes into `path`, going on where an earlier try has ended. Raises `DownloadError`."""


class Client:
    """`root_file`: the first root; `cache`: what may be lost. Raises `UpdateError`."""

    def __init__(self, url: str, root_file: Path, cache: Path, fetcher: Any) -> None:
        self._base = url.rstrip("/")
        self._fetcher = fetcher
        self._infos: dict[str, TargetFile] = {}
        self.odd = ""
        """Why a target was left out: signed by the right people, and still nonsense."""
        try:
            trusted = root_file.read_bytes()[: MAX_ROOT + 1]
        except OSError as error:
            raise UpdateError(
                f"{root_file}: {error.strerror}; without the site's root nothing can be trusted, and nothing is"
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
            raise UpdateError(f"{root_file}: not a root of `roomtone fleet keys` ({error})") from None

    def refresh(self) -> list[Target]:
        """What is published now. Raises `UpdateError`."""
        try:
            self._updater.refresh()
            listed = Metadata[Targets].from_file(str(self._cache / "targets.json")).signed.targets
            found = []
            for path in listed:
                info = self._updater.get_targetinfo(path)
                if info is None or "sha256" not in info.hashes:
                    continue
                try:
                    about = releases.read(path, info.custom)
                except UserError as error:
                    self.odd = str(error)
                    continue
                self._infos[path] = info
                found.append(Target(about, info.hashes["sha256"], info.length))
        except (RepositoryError, DownloadError) as error:
            raise UpdateError(explain(error)) from None
        except OSError as error:
            raise UpdateError(f"{error.filename or self._cache}: {error.strerror or error}") from None
        finally:
            sync_folder(self._cache)
        return found

    def timestamp_version(self) -> int:
        """Of the timestamp that `refresh` has verified."""
        return int(Metadata[Timestamp].from_file(str(self._cache / "timestamp.json")).signed.version)

    def download(self, target: Target, path: Path, progress: Callable[[int], None]) -> None:
        """The archive of a target, whole and as it was signed. Raises `UpdateError`; then `path` is not there."""
        info = self._infos[target.release.path]
        if info.length > MAX_ARCHIVE_BYTES:
            raise UpdateError(
                f"{info.path}: {info.length} bytes are more than this box takes: oversized target"
            )
        part = path.with_name(f"{path.name}.part")
        url = f"{self._base}/targets/{info.hashes['sha256']}.{info.path}"
        try:
            self._fetcher.resume(url, part, info.length, progress)
            with part.open("rb") as file:
                info.verify_length_and_hashes(file)
        except (LengthOrHashMismatchError, DownloadLengthMismatchError) as error:
            # What is wrong does not become right by going on with it.
            part.unlink(missing_ok=True)
            raise UpdateError(explain(error, info.path)) from None
        except DownloadError as error:
            if isinstance(error, DownloadHTTPError):
                part.unlink(missing_ok=True)
            raise UpdateError(explain(error, info.path)) from None
        except OSError as error:
            raise UpdateError(f"{part}: {error.strerror or error}") from None
        move_into_place(part, path)


def explain(error: Exception, what: str = "") -> str:
    """What a refusal of the library means."""
    where = f"{what}: " if what else ""
    if isinstance(error, ExpiredMetadataError):
        meaning = (
            "expired: nobody has signed anew (is the hub up?), or somebody holds newer ones back (freeze)"
        )
    elif isinstance(error, BadVersionNumberError | EqualVersionNumberError):
        meaning = "older than, or not, what was announced: rollback or mix-and-match refused"
    elif isinstance(error, UnsignedMetadataError):
        meaning = "not signed by enough of the keys that this box trusts"
    elif isinstance(error, DownloadLengthMismatchError):
        meaning = "longer than it may be: endless data refused"
    elif isinstance(error, LengthOrHashMismatchError):
        meaning = "not the bytes that were signed: tampered with, or damaged"
    elif isinstance(error, SlowError):
        meaning = "slow retrieval given up"
    elif isinstance(error, DownloadHTTPError):
        meaning = "the hub does not serve it"
    elif isinstance(error, DownloadError):
        meaning = "the hub cannot be reached"
    else:
        meaning = "no metadata that can be used"
    return f"{where}{meaning} ({_line(error)})"


def _line(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error)[:200])
