"""The baseline on disk: one small file that belongs to one model, is replaced atomically and removed to forget.

Fourteen numbers are saved (mean logits and mean probabilities) and how many utterances they stand for. Removing the
file deletes the baseline, also while the ear runs: the remover and the ear, which checks every second, both hold a lock
on the folder, so that a save cannot restore what was just removed.
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
from edge.protocol import ModelName, Sha256, Timestamp
from edge.util import atomic_file
from edge.util.atomic_file import sync_folder, temporary_path
from edge.util.text.patterns import in_words

MAX_BYTES: Final = 1 << 20
"""A larger file is not one of ours: a baseline takes less than 1.5 KB."""


class BaselineFileError(Exception):
    """The file exists and cannot be used; the text says why."""


class SavedBaseline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is saved about a room."""

    format: Literal[2] = 2
    model: ModelName
    model_sha256: Sha256
    since: Timestamp
    """When this baseline was started."""
    saved: Timestamp
    baseline: BaselineState


def baseline_path(config: Config) -> Path:
    """The path of the file, named after the socket, which does not change with the node id."""
    return state_dir.folder(config) / f"{Path(config.runtime.socket).stem}.baseline.json"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the folder of the file `path`, waiting for it; must not be nested.

    So not around `forget`, which takes it itself. Raises `OSError` where the folder is missing.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read(path: Path) -> SavedBaseline | None:
    """Read the saved baseline; None where there is no file. Raises `BaselineFileError` and `PermissionError`."""
    try:
        if not path.is_file():
            if path.exists():
                raise BaselineFileError("not a file")
            return None
        if path.stat().st_size > MAX_BYTES:
            raise BaselineFileError(f"more than {MAX_BYTES} bytes")
        return msgspec.json.decode(path.read_bytes(), type=SavedBaseline)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BaselineFileError(in_words(error)) from None


def write(path: Path, saved: SavedBaseline) -> None:
    """Replace the file atomically, readable by its owner only. Raises `OSError` and then keeps the old file."""
    atomic_file.write(path, msgspec.json.encode(saved), 0o600)


def forget(path: Path) -> bool:
    """Remove the file and the remains of an interrupted save; False where there was none. Raises `OSError`."""
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
