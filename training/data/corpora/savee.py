"""SAVEE (Jackson & Haq 2014; for research): `DC_a01.wav` or `DC/a01.wav`, four English men."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files

SPEAKERS = ("DC", "JE", "JK", "KL")


def scan(root: Path) -> Found:
    """Scan a copy of SAVEE in either of its layouts: the speaker in the file name, or as the folder."""
    found = Found("savee", root)
    for path in audio_files(root):
        match = re.fullmatch(r"(?:([A-Z]{2})_)?(a|d|f|h|n|sa|su)(\d\d)", path.stem)
        speaker = (match[1] or path.parent.name) if match else ""
        if match is None or speaker not in SPEAKERS:
            found.skip(path, "not a SAVEE file name")
            continue
        label = LABEL_WORDS[match[2]]
        assert label is not None
        found.add(Clip("savee", path, f"savee/{speaker}", label, match[2]))
    return found
