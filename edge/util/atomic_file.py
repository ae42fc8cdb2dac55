"""Small files that appear as a whole: written beside, brought to the medium, and renamed."""

from __future__ import annotations

import os
from pathlib import Path


def synchronise(folder: Path) -> None:
    """Writes the folder's names to the medium, so that a power cut does not bring back an old one. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, text: str | bytes, mode: int) -> None:
    """A file with these rights from its first byte, all of it or nothing. Raises `OSError`."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    data = text.encode("utf-8") if isinstance(text, str) else text
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def update(path: Path, text: str | bytes, mode: int) -> bool:
    """The same, and False where nothing had to be written: content and rights were so already. Raises `OSError`."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    try:
        if path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
            return False
    except FileNotFoundError:
        pass
    write(path, data, mode)
    return True
