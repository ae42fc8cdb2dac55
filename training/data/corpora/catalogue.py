"""Which corpora there are, where they lie below a data folder, and what their licence allows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.util.errors import UserError
from training.data.corpora import (
    crema_d,
    emodb,
    emospeech,
    emovo,
    folder,
    nemo,
    ordinary,
    ravdess,
    savee,
    tess,
)
from training.data.corpora.clip import Clip, Found

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """A speech corpus that can be read: its name, where it comes from, and the function that scans its folder."""

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
        Corpus("tess", tess.scan, "CC BY-NC-ND 4.0", False),
        Corpus("emovo", emovo.scan, "research", False),
        Corpus("crema-d", crema_d.scan, "ODbL 1.0", True),
        Corpus("savee", savee.scan, "research", False),
        Corpus("emo-db", emodb.scan, "unclear", False),
        Corpus("ordinary", ordinary.scan, "per source (speakers.tsv)", True),
        Corpus("emospeech", emospeech.scan, "CC BY-NC-SA 4.0", True),
        Corpus("folder", folder.scan, "the user's own", False),
    )
}


LABELLED = ("ravdess", "nemo", "tess", "emovo", "crema-d", "savee", "emo-db")
"""Those whose clips have labels, neutral speech among them, and known speakers."""


def folder_of(data: Path, name: str) -> Path:
    """Return the folder of a corpus below a data folder. Raises `UserError` where it is missing."""
    root = data / name
    if not root.is_dir():
        raise UserError(
            f"{root} is missing: put the corpus {name} there (or a link), or name another --data; "
            "docs/model/base.md says where it comes from"
        )
    return root


def read(data: Path, names: Iterable[str]) -> list[Found]:
    """Scan the named corpora in `data/<name>`, and return what each folder holds.

    Raises `UserError` where a corpus is missing or holds no clip.
    """
    result = []
    for name in names:
        root = folder_of(data, name)
        found = CORPORA[name].scan(root)
        if not found.clips:
            why = (
                "; ".join(f"{len(paths)} x {reason}" for reason, paths in found.skipped.items())
                or "it is empty"
            )
            raise UserError(f"{root} holds no clip of {name}: {why}")
        for reason, paths in found.skipped.items():
            log.info("%s: %d left out: %s", name, len(paths), reason)
        result.append(found)
    return result


def table(data: Path) -> list[dict[str, object]]:
    """Return an overview of the corpora below `data`, one row each, with what was skipped and why."""
    rows: list[dict[str, object]] = []
    for corpus in CORPORA.values():
        root = data / corpus.name
        if not root.is_dir():
            rows.append(
                {"corpus": corpus.name, "found": 0, "speakers": 0, "skipped": {}, "note": f"no {root}"}
            )
            continue
        found = corpus.scan(root)
        labels = Counter(clip.label for clip in found.clips)
        rows.append(
            {
                "corpus": corpus.name,
                "found": len(found.clips),
                "speakers": len({clip.speaker for clip in found.clips}),
                "labels": dict(sorted(labels.items())),
                "skipped": {reason: len(paths) for reason, paths in found.skipped.items()},
                "note": "" if corpus.trainable else f"evaluation only ({corpus.licence})",
            }
        )
    return rows


def clips(found: Iterable[Found]) -> list[Clip]:
    """Join the clips of several scanned corpora into one list."""
    return [clip for one in found for clip in one.clips]
