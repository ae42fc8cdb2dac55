"""A bundle as one file: a plain tar, the same bytes for the same bundle, strictly checked when it is unpacked.

The archive was signed, but a signer can be careless or robbed: links, device files, paths out of the folder, more bytes
than were announced and duplicate names are refused.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from pathlib import Path
from typing import Final

from edge.util.atomic_file import Step, no_step, sync_folder
from edge.util.errors import UserError

NAME: Final = re.compile(r"(plots/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
MAX_FILES: Final = 65
MAX_FILE_BYTES: Final = 64 << 20
MAX_BYTES: Final = 96 << 20
CHUNK: Final = 1 << 20


class ArchiveError(UserError):
    """The archive cannot be used; the text names the member and the reason."""


def pack(bundle: Path) -> bytes:
    """Pack the files of a bundle's folder into one archive (tar).

    Raises `ArchiveError` for what `unpack` would refuse.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(bundle.rglob("*")):
            name = path.relative_to(bundle).as_posix()
            if path.is_dir() and not path.is_symlink():
                continue
            if path.is_symlink() or not path.is_file() or not NAME.match(name):
                raise ArchiveError(f"{path}: does not belong in a bundle")
            member = tarfile.TarInfo(name)
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                archive.addfile(member, file)
    return buffer.getvalue()


def unpack(archive: Path, folder: Path, step: Step = no_step) -> None:
    """Unpack an archive into `folder`, which must not exist, and synchronise it to disk. Raises `ArchiveError`."""
    try:
        # "r:" alone: no compression, so that few bytes cannot become many.
        with tarfile.open(archive, "r:") as opened:
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
            _write_all(opened, folder, step)
    except ArchiveError as error:
        raise ArchiveError(f"{archive.name}: {error}") from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ArchiveError(f"{archive.name}: damaged: {error}") from None
    for created in (folder / "plots", folder):
        if created.is_dir():
            sync_folder(created)
    step("unpack: folder synchronised")


def _write_all(opened: tarfile.TarFile, folder: Path, step: Step) -> None:
    seen: set[str] = set()
    total = 0
    for member in opened:
        total += member.size
        _check(member, seen, total)
        seen.add(member.name)
        source = opened.extractfile(member)
        if source is None:
            raise ArchiveError(f"{_shown(member)}: is not a plain file")
        target = folder / member.name
        if target.parent != folder:
            target.parent.mkdir(mode=0o755, exist_ok=True)
            target.parent.chmod(0o755)
        step(f"unpack: before {member.name}")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            left = member.size
            while left and (data := source.read(min(CHUNK, left))):
                file.write(data)
                left -= len(data)
            if left:
                raise ArchiveError(f"{_shown(member)}: ends too early")
            file.flush()
            step(f"unpack: written {member.name}")
            os.fsync(descriptor)
    if "manifest.json" not in seen:
        raise ArchiveError("the archive has no manifest.json: it is not a bundle")


def _check(member: tarfile.TarInfo, seen: set[str], total: int) -> None:
    if member.issym() or member.islnk():
        raise ArchiveError(f"{_shown(member)}: is a link, which a bundle must not contain")
    if not member.isreg() or member.issparse():
        raise ArchiveError(f"{_shown(member)}: is not a plain file")
    if not NAME.match(member.name):
        raise ArchiveError(f"{_shown(member)}: is not a valid file name in a bundle")
    if member.name in seen:
        raise ArchiveError(f"{_shown(member)}: occurs twice")
    if len(seen) >= MAX_FILES:
        raise ArchiveError(f"more than {MAX_FILES} files")
    if member.size > MAX_FILE_BYTES or total > MAX_BYTES:
        raise ArchiveError(f"{_shown(member)}: too large ({member.size} bytes, {total} in all)")


def _shown(member: tarfile.TarInfo) -> str:
    return repr(member.name[:80])
