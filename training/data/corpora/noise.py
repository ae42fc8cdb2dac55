"""Recordings of noise: what may be used in training, and what is kept for evaluation."""

from __future__ import annotations

from pathlib import Path

from training.data.corpora.clip import audio_files

TRAINING = ("esc-10", "places")
EVALUATION = ("household", "speech-commands")


def training_files(data: Path) -> list[Path]:
    """List the noise recordings to train with; empty where there are none, and then only generated noise is used."""
    return [path for name in TRAINING for path in audio_files(data / "noise" / name)]


def evaluation_files(data: Path) -> list[Path]:
    """List the noise recordings that are kept for evaluation and never trained with; empty where there are none."""
    return [path for name in EVALUATION for path in audio_files(data / "noise" / name)]
