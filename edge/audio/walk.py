"""Walks through folders the way people expect: links to folders are followed, and every folder is visited once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(root: Path) -> Iterator[Path]:
    """Yield all files below a folder, without hidden files and folders.

    Links to folders are followed. A folder that can be reached in several ways, or that contains itself through a
    link, is visited once, on a way without links where there is one. Folders that cannot be read are left out, except
    `root`: for that, `OSError` is raised.
    """
    visited: set[tuple[int, int]] = set()
    folders = [root]
    linked: list[Path] = []
    while folders or linked:
        folder = folders.pop() if folders else linked.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError:
            if folder == root:
                raise
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if path.is_dir():
                (linked if entry.is_symlink() else folders).append(path)
            elif path.is_file():
                yield path
