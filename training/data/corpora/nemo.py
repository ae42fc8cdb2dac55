"""nEMO (Christop 2024, CC BY-NC-SA 4.0): `data.tsv` and `samples/`, Polish, 9 speakers, no disgust."""

from __future__ import annotations

import csv
from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files

COLUMNS = ("file_id", "emotion", "speaker_id")


def scan(root: Path) -> Found:
    """Scan a copy of nEMO (Polish) by its table `data.tsv`; files may have another suffix, as re-encoded copies do."""
    found = Found("nemo", root)
    table = root / "data.tsv"
    if not table.is_file():
        found.skip(table, "data.tsv is missing")
        return found
    present = {path.stem: path for path in reversed(audio_files(root / "samples"))}
    with table.open(encoding="utf-8", errors="replace", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if not all(row.get(column) for column in COLUMNS):
                found.skip(table, f"a row of data.tsv without one of {', '.join(COLUMNS)}")
                continue
            name, word = row["file_id"].strip(), row["emotion"].strip()
            path = present.get(Path(name).stem)
            label = LABEL_WORDS.get(word)
            if path is None:
                found.skip(name, "named in data.tsv but not there")
            elif label is None:
                found.skip(name, f"unknown emotion {word}")
            else:
                found.add(Clip("nemo", path, f"nemo/{row['speaker_id'].strip()}", label, word))
    found.clips.sort(key=lambda clip: clip.path.name)
    return found
