"""The room's mean on disk: one small file that is bound to its model, replaced as a whole, and removed to forget.

Removing it is the way to forget, also while the ear runs: who removes it and the ear, which looks every second, both
hold the folder's lock meanwhile, so that a save cannot bring back what was just removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.ear import state_dir
from edge.inference.baseline import BaselineState
from edge.protocol.messages import ModelName, Sha256, Timestamp
from edge.util import atomic_file
from edge.util.atomic_file import sync_folder, temporary_path

MAX_BYTES: Final = 1 << 20
"""A mean of 512 numbers takes 10 KB."""


class BaselineFileError(Exception):
    """The file is there and cannot be used; the text says why."""


class Kept(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is kept of what a room said."""

    format: Literal[1] = 1
    model: ModelName
    model_sha256: Sha256
    since: Timestamp
    """When this mean was begun."""
    saved: Timestamp
    room: BaselineState


def path_of(config: Config) -> Path:
    """Named after the socket, which does not change when the room gets another id."""
    return state_dir.folder(config) / f"{Path(config.runtime.socket).stem}.baseline.json"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else reads, writes or forgets meanwhile. Raises `OSError` where the folder is missing."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read(path: Path) -> Kept | None:
    """What is kept; None where there is no file. Raises `BaselineFileError`, and `PermissionError`."""
    try:
        if not path.is_file():
            if path.exists():
                raise BaselineFileError("not a file")
            return None
        if path.stat().st_size > MAX_BYTES:
            raise BaselineFileError(f"more than {MAX_BYTES} bytes")
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BaselineFileError(str(error)) from None


def write(path: Path, kept: Kept) -> None:
    """All of it or nothing, for the owner's eyes only. Raises `OSError`; the old file is then still there."""
    atomic_file.write(path, msgspec.json.encode(kept), 0o600)


def forget(path: Path) -> bool:
    """Removes the file and what an interrupted save has left; False where there was none. Raises `OSError`."""
    if not path.parent.is_dir():
        return False
    with locked(path):
        temporary_path(path).unlink(missing_ok=True)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    sync_folder(path.parent)
    return True
