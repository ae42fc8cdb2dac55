"""Recordings as browsers send them."""

from __future__ import annotations

import io
import wave


def wav(data: bytes, rate: int) -> bytes:
    """A WAV file of one channel of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(data)
    return file.getvalue()
