"""Entry points of what is installed, for a command line that answers at once.

`importlib.metadata` gives the same, and takes a third of the time of `roomtone --help`: it loads the package `email`.
The files are specified by the Python Packaging Authority (entry points, recording installed projects).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_METADATA: Final = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """A name, and the object that it stands for: `module:attribute`."""

    name: str
    value: str

    def load(self) -> Any:
        """Import the module and return the object. Raises `ImportError` and `AttributeError`."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        return getattr(importlib.import_module(module.strip()), attribute.strip())


def entry_points(group: str, path: Sequence[str] | None = None) -> list[EntryPoint]:
    """Return the entry points of a group by name, of all distributions in the folders of `path` (`sys.path`).

    As for imports, a distribution in an earlier folder hides one of the same name in a later one.
    """
    found: dict[str, EntryPoint] = {}
    known: set[str] = set()
    for folder in sys.path if path is None else path:
        for metadata in sorted(_metadata_of(folder or ".")):
            distribution = metadata.partition("-")[0].lower()
            if distribution not in known:
                known.add(distribution)
                for entry in _read(Path(folder or ".", metadata, "entry_points.txt"), group):
                    found.setdefault(entry.name, entry)
    return [found[name] for name in sorted(found)]


def _metadata_of(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(_METADATA)]  # noqa: PTH208
    except OSError:  # No folder: a zip archive, or nothing at all.
        return []


def _read(file: Path, group: str) -> list[EntryPoint]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    entries, section = [], ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            entries.append(EntryPoint(name.strip(), value.strip()))
    return entries
