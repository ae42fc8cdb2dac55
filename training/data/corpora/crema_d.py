"""CREMA-D (Cao et al. 2014, Open Database Licence): `AudioWAV/1001_DFA_ANG_XX.wav`, 91 English actors."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files


def scan(root: Path) -> Found:
    """Scan a copy of CREMA-D: `actor_sentence_EMOTION_intensity` file names; it has no `surprised`."""
    found = Found("crema-d", root)
    for path in audio_files(root):
        match = re.fullmatch(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z]{1,2}", path.stem)
        label = LABEL_WORDS.get(match[2].lower()) if match else None
        if match is None:
            found.skip(path, "not a CREMA-D file name")
        elif label is None:
            found.skip(path, f"unknown emotion {match[2]}")
        else:
            found.add(Clip("crema-d", path, f"crema-d/{match[1]}", label, match[2]))
    return found
