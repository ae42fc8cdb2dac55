"""`python -m edge.ear.saved_state`: copies the ear's state between its memory and the disk.

On a device the ear writes only to memory that has a size (a tmpfs). A service without a microphone runs this: only
files of known names, small ones with the content that belongs there, reach the disk.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge.config.load import load
from edge.config.options import SYSTEM_CONFIG
from edge.config.settings import Config
from edge.ear import state_dir
from edge.ear.baseline_file import SavedBaseline
from edge.ear.model_selection import StartAttempts
from edge.ear.mute.mute_state import ORIGINS
from edge.ear.state_dir import read_regular
from edge.util import atomic_file

MAX_BYTES: Final = 4096
ROUNDS: Final = 10
ROUND_S: Final = 2.0
"""`follow` looks again after this time, for what has changed while it saved."""

Canonical = Callable[[bytes], bytes]


def names(config: Config) -> dict[str, Canonical]:
    """Return the names of the files that are kept, and how the content of each is checked and written anew."""
    stem = Path(config.runtime.socket).stem
    return {
        **{f"muted-{origin}": lambda _: b"" for origin in ORIGINS},
        f"{stem}.baseline.json": lambda data: _again(data, SavedBaseline),
        f"{stem}.tries.json": lambda data: _again(data, StartAttempts),
    }


def save(config: Config, source: Path, target: Path) -> bool:
    """Make `target` a copy of what `source` has; whether anything had changed. Raises `OSError`."""
    changed = False
    for name, canonical in names(config).items():
        data = _read(source / name, canonical)
        if data is not None:
            changed |= atomic_file.update(target / name, data, 0o600)
        elif (target / name).exists():
            (target / name).unlink()
            atomic_file.sync_folder(target)
            changed = True
    return changed


def restore(config: Config, source: Path, target: Path) -> None:
    """Copy what `target` lacks. Raises `OSError`."""
    target.mkdir(mode=0o700, exist_ok=True)
    for name, canonical in names(config).items():
        data = None if (target / name).exists() else _read(source / name, canonical)
        if data is not None:
            atomic_file.write(target / name, data, 0o600)


def _read(path: Path, canonical: Canonical) -> bytes | None:
    """Return the content as it is to be kept; None for a file that is missing or not one of ours."""
    data = read_regular(path, MAX_BYTES)
    if data is None:
        return None
    try:
        return canonical(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _again(data: bytes, kind: type[msgspec.Struct]) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(data, type=kind))


def main() -> int:
    """Run one of the three verbs; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m edge.ear.saved_state", description=__doc__)
    parser.add_argument("verb", choices=("save", "restore", "follow"))
    parser.add_argument("--config", type=Path, default=SYSTEM_CONFIG)
    parser.add_argument("--memory", type=Path, default=state_dir.INSTALLED)
    parser.add_argument("--disk", type=Path, default=state_dir.SAVED)
    options = parser.parse_args()
    config = load(options.config)
    if options.verb == "restore":
        restore(config, options.disk, options.memory)
    elif options.verb == "save":
        save(config, options.memory, options.disk)
    else:
        for _ in range(ROUNDS):
            changed = save(config, options.memory, options.disk)
            time.sleep(ROUND_S)
            if not changed:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
