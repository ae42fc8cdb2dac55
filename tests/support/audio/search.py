"""Whether sound is anywhere in some bytes, in one of the forms in which it could leave.

Runs of known samples are looked for: as 16-bit numbers of either byte order, at several gains, as floats at several
scalings, as hexadecimal and decimal digits, and in base64 at each of its three alignments. A run of 16 samples does not
occur by chance.
"""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from edge.audio.segmenter import Samples

RUN: Final = 16
STRIDE: Final = 400
GAINS: Final = (0.25, 0.5, 2.0)
HEAD: Final = 8
"""Bytes by which a run is found first."""
PIECE: Final = 1 << 22


def needles(samples: Samples) -> dict[bytes, str]:
    """Runs of the sound in every form that it could leave in."""
    found: dict[bytes, str] = {}
    for start in range(0, samples.size - RUN, STRIDE):
        run = samples[start : start + RUN]
        if np.abs(run.astype(int)).min() < 8 or np.unique(run).size < RUN // 2:
            continue  # silence is everywhere
        little = run.astype("<i2").tobytes()
        forms = {
            "int16": little,
            "int16, big-endian": run.astype(">i2").tobytes(),
            "float32": (run / np.float32(32768)).astype("<f4").tobytes(),
            "float32, unscaled": run.astype("<f4").tobytes(),
            "float64": (run / 32768).astype("<f8").tobytes(),
            **{f"int16 times {gain}": np.rint(run * gain).astype("<i2").tobytes() for gain in GAINS},
            "hexadecimal": little.hex().encode(),
            "decimal": ", ".join(map(str, run[:6])).encode(),
            "decimal, compact": ",".join(map(str, run[:6])).encode(),
            # Of any three alignments one begins at a multiple of three bytes; the ends depend on the neighbours.
            **{f"base64 at {shift}": base64.b64encode(little[shift : shift + 27])[:36] for shift in range(3)},
        }
        found.update({form: f"{name} of sample {start}" for name, form in forms.items()})
    return found


class Search:
    """Looks for all needles at once: by their first bytes, so that a megabyte takes no minute."""

    def __init__(self, samples: Samples) -> None:
        self._names = needles(samples)
        self._by_head: dict[bytes, list[bytes]] = {}
        for needle in self._names:
            self._by_head.setdefault(needle[:HEAD], []).append(needle)
        self._heads = np.sort(np.array([int.from_bytes(head, "little") for head in self._by_head], np.uint64))

    def __len__(self) -> int:
        return len(self._names)

    def find(self, data: bytes) -> list[str]:
        """What was found, with its form, in order."""
        found = []
        longest = max(map(len, self._names))
        for begin in range(0, len(data), PIECE):
            piece = data[begin : begin + PIECE + longest]
            for at in self._suspects(piece):
                if at < PIECE:
                    found += [
                        self._names[needle]
                        for needle in self._by_head[piece[at : at + HEAD]]
                        if piece.startswith(needle, at)
                    ]
        return found

    def _suspects(self, piece: bytes) -> list[int]:
        if len(piece) < HEAD:
            return []
        numbers = np.frombuffer(piece, np.uint8).astype(np.uint64)
        count = len(piece) - HEAD + 1
        words = np.zeros(count, np.uint64)
        for byte in range(HEAD):
            words |= numbers[byte : byte + count] << np.uint64(8 * byte)
        places = np.searchsorted(self._heads, words).clip(max=len(self._heads) - 1)
        return [int(at) for at in np.flatnonzero(self._heads[places] == words)]
