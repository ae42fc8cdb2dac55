"""Emospeech (CC BY-NC-SA 4.0): keywords called for help or in calm, on phones; `clips.tsv` and `LABEL/*`.

Speakers are unknown, so the place is the speaker: House and Misc may be fitted, Roads and Near Lake are for tests.
Speakers may be in both.
"""

from __future__ import annotations

import csv
from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found

FITTED_PLACES = ("House", "Misc")


def scan(root: Path) -> Found:
    """Scan the emospeech corpus by its table `clips.tsv` (file, speaker, label, place)."""
    found = Found("emospeech", root)
    table = root / "clips.tsv"
    if not table.is_file():
        found.skip(table, "clips.tsv is missing")
        return found
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            path, label = root / row["file"], LABEL_WORDS.get(row["label"])
            if not path.is_file():
                found.skip(path, "named in clips.tsv but not there")
            elif label is None:
                found.skip(path, f"unknown emotion {row['label']}")
            else:
                found.add(Clip("emospeech", path, f"emospeech/{row['place']}", label, row["place"]))
    return found
