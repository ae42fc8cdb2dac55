"""Ordinary speech, not acted: `speakers.tsv` beside `SOURCE/*`, or any `SOURCE/*` without the table.

Files beside the folders of the sources are a source of their own, `ordinary`.
Each source (readers, learners, commands, wake words, ...) is a corpus and a room of its own; its clips have the label
`ordinary`. Where the speaker of a clip is unknown, the clip is a speaker of its own.
"""

from __future__ import annotations

import csv
from pathlib import Path

from training.data.corpora.clip import ORDINARY, Clip, Found, audio_files

TABLE = "speakers.tsv"
PUBLISHED_TEST = "published test part"
"""`fine_label` of clips that their publisher has set aside for tests."""


def scan(root: Path) -> Found:
    """Scan all sources of ordinary (not acted) speech below `root`; the speakers are named `SOURCE/speaker`."""
    found = Found("ordinary", root)
    rows = _rows(root / TABLE)
    for path in audio_files(root):
        parts = path.relative_to(root).parts
        source = parts[0] if len(parts) > 1 else ORDINARY
        row = rows.get("/".join(parts), {})
        speaker = f"{source}/{row.get('speaker') or path.name}"
        note = PUBLISHED_TEST if row.get("part") == "test" else row.get("age") or ""
        found.add(Clip(source, path, speaker, ORDINARY, note))
    return found


def _rows(table: Path) -> dict[str, dict[str, str]]:
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}
