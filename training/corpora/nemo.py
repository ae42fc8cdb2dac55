"""nEMO (Christop 2024, CC BY-NC-SA 4.0): `data.tsv` and `samples/`, Polish, 9 speakers, no disgust."""

from __future__ import annotations

import csv
from pathlib import Path

from training.corpora.clip import AUDIO_SUFFIXES, LABEL_WORDS, Clip, Found


def scan(root: Path) -> Found:
    """Reads `data.tsv`; the files may have another suffix than it says (re-encoded copies)."""
    found = Found("nemo", root)
    table = root / "data.tsv"
    if not table.is_file():
        found.skip(table, "data.tsv is missing")
        return found
    present = {
        path.stem: path for path in (root / "samples").glob("*") if path.suffix.lower() in AUDIO_SUFFIXES
    }
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            name, word = row["file_id"].strip(), row["emotion"].strip()
            path = present.get(Path(name).stem)
            label = LABEL_WORDS.get(word)
            if path is None:
                found.skip(name, "named in data.tsv but not there")
            elif label is None:
                found.skip(name, f"unknown emotion {word}")
            else:
                found.clips.append(Clip("nemo", path, f"nemo/{row['speaker_id'].strip()}", label, word))
    found.clips.sort(key=lambda clip: clip.path.name)
    return found
