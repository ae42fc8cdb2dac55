"""EMOVO (Costantini et al. 2014; for research): `f1/dis-f1-b1.wav`, Italian, 6 actors. Evaluation only."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files


def scan(root: Path) -> Found:
    """Scan a copy of EMOVO (Italian), whose file names are `EMOTION-speaker-sentence`."""
    found = Found("emovo", root)
    for path in audio_files(root):
        match = re.fullmatch(r"([a-z]{3})-([fm]\d)-([a-z]+\d*)", path.stem)
        label = LABEL_WORDS.get(match[1]) if match else None
        if match is None:
            found.skip(path, "not an EMOVO file name")
        elif label is None:
            found.skip(path, f"unknown emotion {match[1]}")
        else:
            found.add(Clip("emovo", path, f"emovo/{match[2]}", label, match[1]))
    return found
