"""The Python files of this project: what was fetched into its folders (node_modules) is none of them."""

from __future__ import annotations

from pathlib import Path

FETCHED = {"node_modules"}


def python_files(*folders: Path) -> list[Path]:
    """Every Python file below `folders`, sorted within each."""
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if not FETCHED & set(path.relative_to(folder).parts)
    ]
