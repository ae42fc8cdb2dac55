"""RAVDESS (Livingstone & Russo 2018, CC BY-NC-SA 4.0): `Actor_NN/03-01-EMOTION-...-ACTOR.wav`, 24 English actors."""

from __future__ import annotations

from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files

CODES = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
    "08": "surprised",
}  # fmt: skip


def scan(root: Path) -> Found:
    """Scan a copy of RAVDESS: its speech part (modality 03, channel 01); songs are skipped."""
    found = Found("ravdess", root)
    for path in audio_files(root):
        parts = path.stem.split("-")
        if len(parts) != 7 or not all(part.isdigit() for part in parts):
            found.skip(path, "not a RAVDESS file name")
        elif parts[0] != "03" or parts[1] != "01":
            found.skip(path, "not audio-only speech")
        elif parts[2] not in CODES:
            found.skip(path, f"unknown emotion {parts[2]}")
        else:
            word = CODES[parts[2]]
            label = LABEL_WORDS[word]
            assert label is not None
            found.add(Clip("ravdess", path, f"ravdess/{parts[6]}", label, word))
    return found
