"""The pretrained encoder of openai/whisper-base (MIT), checked by its sha256 before it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError

FILE = "whisper-base-encoder.npz"
SHA256 = "fd01f09f7d67dc1c7a2f9bd6a62cfe0f3cb1fc0778e190ca067708e8f3b7c718"
HEADS: Final = 8
WIDTH: Final = 512
QUERY_SCALE: Final = (WIDTH // HEADS) ** -0.5
"""What attention scores are multiplied by: 1/8, exact in every type."""


def load(data: Path) -> dict[str, NDArray[np.float32]]:
    """Load all weights of the pretrained Whisper encoder, float32 `[...]`, by name.

    Raises `UserError` if the file is missing or another one.
    """
    path = data / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing: docs/model/base.md says how to get the pretrained encoder")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise UserError(f"{path} is not the known file: sha256 {digest}, expected {SHA256}")
    with np.load(path) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}
