"""Which corpora there are, where they lie below a data folder, and what their licence allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UserError
from training.corpora import nemo, ravdess
from training.corpora.clip import Clip, Found


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be read."""

    name: str
    scan: Callable[[Path], Found]
    licence: str
    trainable: bool
    """Whether the licence lets weights made from it be passed on."""


CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus("ravdess", ravdess.scan, "CC BY-NC-SA 4.0", True),
        Corpus("nemo", nemo.scan, "CC BY-NC-SA 4.0", True),
    )
}


def read(data: Path, names: Iterable[str]) -> list[Found]:
    """Scans the named corpora in `data/<name>`. Raises `UserError` where one is missing or holds no clip."""
    result = []
    for name in names:
        root = data / name
        if not root.is_dir():
            raise UserError(
                f"{root} is missing: put the corpus {name} there (or a link), or name another --data"
            )
        found = CORPORA[name].scan(root)
        if not found.clips:
            why = (
                "; ".join(f"{len(paths)} x {reason}" for reason, paths in found.skipped.items())
                or "it is empty"
            )
            raise UserError(f"{root} holds no clip of {name}: {why}")
        result.append(found)
    return result


def clips(found: Iterable[Found]) -> list[Clip]:
    """All clips of several corpora in one list."""
    return [clip for one in found for clip in one.clips]
