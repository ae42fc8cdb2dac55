"""Atomic replacement of files: written beside, synchronised to the medium, renamed, and the folder synchronised too.

After a power cut either the old file or the new one is there, never half of one. This is the only place in the project
that replaces files.

    write(path, b"...", 0o600)                      # content that is at hand
    with replacing(path) as file: np.savez(file)    # content that is written piece by piece
    move_into_place(beside, path)                   # a file that another library has written
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

Step = Callable[[str], None]
"""Is called with a name before and after everything that reaches the disk: a test that cuts the power finds its
points there, and progress can be shown from it."""


def no_step(_name: str) -> None:
    """Ignore the steps."""


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the medium, so that a power cut does not bring back an old one. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_path(path: Path) -> Path:
    """The file beside `path` that is written first; an interrupted write leaves it, and the next one removes it."""
    return path.with_name(f".{path.name}.new")


@contextlib.contextmanager
def replacing(
    path: Path, mode: int = 0o644, *, step: Step = no_step, what: str = "file"
) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends without an exception.

    It has `mode` from its first byte, whatever the umask. `what` begins the names that `step` is called with.
    Raises `OSError`; the old file is then still there, and nothing is left beside it.
    """
    beside = temporary_path(path)
    beside.unlink(missing_ok=True)
    step(f"{what}: before writing")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            step(f"{what}: written")
            os.fsync(descriptor)
        step(f"{what}: synchronised")
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    step(f"{what}: renamed")
    sync_folder(path.parent)
    step(f"{what}: done")


def write(
    path: Path, data: str | bytes, mode: int = 0o644, *, step: Step = no_step, what: str = "file"
) -> None:
    """Replace the content of a file (text as UTF-8). Raises `OSError`, as `replacing`."""
    with replacing(path, mode, step=step, what=what) as file:
        file.write(_encoded(data))


def update(path: Path, data: str | bytes, mode: int = 0o644) -> bool:
    """Write a file where its content or rights differ, or where it cannot be read; whether it was written.

    Raises `OSError`.
    """
    try:
        if path.read_bytes() == _encoded(data) and path.stat().st_mode & 0o777 == mode:
            return False
    except (FileNotFoundError, PermissionError):
        pass
    write(path, data, mode)
    return True


def move_into_place(beside: Path, path: Path) -> None:
    """Replace `path` by a file, or a whole new folder, of the same file system, and synchronise. Raises `OSError`."""
    if beside.is_file():
        with beside.open("rb") as file:
            os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def _encoded(data: str | bytes) -> bytes:
    return data.encode("utf-8") if isinstance(data, str) else data
