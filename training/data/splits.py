"""Disjoint lists of speakers: `splits.toml` for acted speech, a hash for ordinary speech."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.util.errors import UserError, reason
from training.data.corpora.clip import Clip
from training.data.corpora.ordinary import PUBLISHED_TEST

PARTS = ("fit", "calibrate", "test")


@dataclass(frozen=True)
class Splits:
    """The speakers (`corpus/id`) of each part: `fit`, `calibrate` and `test`."""

    corpora: tuple[str, ...]
    fit: frozenset[str]
    calibrate: frozenset[str]
    test: frozenset[str]

    def part(self, name: str) -> frozenset[str]:
        """Return the speakers of `fit`, `calibrate` or `test`."""
        speakers: frozenset[str] = getattr(self, name)
        return speakers

    def select(self, clips: Iterable[Clip], name: str) -> list[Clip]:
        """Return the clips whose speaker is in a part."""
        speakers = self.part(name)
        return [clip for clip in clips if clip.speaker in speakers]


def load(path: Path | None = None) -> Splits:
    """Read a file of splits (default: the shipped `splits.toml`).

    Raises `UserError` for a file that cannot be read, for other parts than `PARTS`, and for a speaker in two of them.
    """
    path = path or Path(__file__).with_name("splits.toml")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if set(document) != {"corpora", *PARTS}:
        raise UserError(f"{path}: needs `corpora` and exactly the parts {', '.join(PARTS)}")
    corpora = tuple(document.pop("corpora"))
    parts = {
        name: frozenset(f"{corpus}/{speaker}" for corpus, ids in document[name].items() for speaker in ids)
        for name in PARTS
    }
    for first, second in (("fit", "calibrate"), ("fit", "test"), ("calibrate", "test")):
        if both := parts[first] & parts[second]:
            raise UserError(f"{path}: {sorted(both)} are in both {first} and {second}")
    return Splits(corpora, **parts)


HELD_BACK = 5
"""One speaker of ordinary speech in so many is held back for tests."""


def is_held_back(clip: Clip) -> bool:
    """Whether a clip of ordinary speech is for tests only: decided by a hash of its speaker, or by its publisher.

    `ordinary_test_speakers.txt` lists those of the sources that the shipped bundles were made with.
    """
    digest = hashlib.sha256(clip.speaker.encode()).hexdigest()
    return clip.fine_label == PUBLISHED_TEST or int(digest, 16) % HELD_BACK == 0
