"""Bundles with a relative head, and bundles that are changed for a test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.support.bundles import tiny


def adaptable(folder: Path) -> Path:
    """A tiny bundle whose head is relative to a baseline."""
    return tiny.make(folder, relative=True)


def enlist(folder: Path, *names: str) -> None:
    """Enters files with their hashes as they are now into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in names:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
