"""EMO-DB (Burkhardt et al. 2005): `wav/03a01Fa.wav`, ten German actors; boredom is left out, surprise is not there."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.corpora.clip import Clip, Found, audio_files

# German initials: Aerger, Ekel, Angst, Freude, Trauer. They mean other things elsewhere, so they stay here.
CODES = {"W": "angry", "E": "disgust", "A": "fearful", "F": "happy", "T": "sad", "N": "neutral"}


def scan(root: Path) -> Found:
    """Scan a copy of EmoDB (German), whose file names are `SPEAKER TEXT EMOTION VERSION` without the spaces."""
    found = Found("emo-db", root)
    for path in audio_files(root):
        match = re.fullmatch(r"(\d\d)[ab]\d\d([A-Z])[a-z]?", path.stem)
        if match is None:
            found.skip(path, "not an EMO-DB file name")
        elif match[2] == "L":
            found.skip(path, "boredom is none of the labels")
        elif match[2] not in CODES:
            found.skip(path, f"unknown emotion {match[2]}")
        else:
            found.add(Clip("emo-db", path, f"emo-db/{match[1]}", CODES[match[2]], match[2]))
    return found
