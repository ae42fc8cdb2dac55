"""Which recordings a protocol hears: lists of clips below a data folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.util.errors import UserError
from training.data import splits, synthetic_voices
from training.data.corpora import catalogue, emovo, folder
from training.data.corpora.clip import ORDINARY, Clip, Found, audio_files

log = logging.getLogger(__name__)
MEETINGS: Final = "meetings"
SOUNDS: Final = {"noise", "rooms", "rooms-train", "vad"}
"""Folders of a data folder that hold no labelled speech."""


def held_out(data: Path) -> list[Clip]:
    """List the clips of the test speakers of `splits.toml`; speakers that are missing are named in the log.

    Raises `UserError` where one of its corpora is missing.
    """
    return _test_speakers(data, splits.load().corpora)


def unseen_language(data: Path) -> list[Clip]:
    """List the clips of EMOVO in or below the folder, or of any `DIR/<label>/*`."""
    root = data / "emovo" if (data / "emovo").is_dir() else data
    return emovo.scan(_folder(root)).clips or own(root)


def own(data: Path) -> list[Clip]:
    """List the clips of the user's own recordings, `DIR/<label>/*` or `DIR/<label>/<speaker>/*`."""
    found = folder.scan(_folder(data))
    _log_skipped(found)
    return found.clips


def labelled(data: Path) -> list[Clip]:
    """List labelled speech that training has not heard, each corpus a set of its own.

    That is: of the corpora of `splits.toml` that are there, the test speakers; all of every other corpus of labels that
    is there; and the user's own recordings `DIR/<label>/*`, with `DIR/ordinary/*` as their neutral speech. Raises
    `UserError` where there is nothing of it.
    """
    split = splits.load().corpora
    others = [name for name in catalogue.LABELLED if name not in split]
    clips = _test_speakers(data, [name for name in split if (data / name).is_dir()])
    clips += catalogue.clips(catalogue.read(data, [name for name in others if (data / name).is_dir()]))
    found = folder.scan(data)
    if found.clips:
        clips += found.clips + folder.scan_ordinary(data)
        _name_others(data, found)
    if not clips:
        raise UserError(
            f"{data} holds no labelled speech: put recordings into {data}/<label>/<speaker>/*, neutral ones, too, "
            f"or one of these corpora below it (docs/model/base.md): {', '.join((*split, *others))}"
        )
    return clips


def ordinary(data: Path, *, all_speakers: bool = False) -> list[Clip]:
    """List ordinary speech of held-back speakers, meetings, and synthetic voices where espeak-ng is installed.

    `all_speakers`: also those that training hears where a source is part of it. Raises `UserError` without recordings.
    """
    (found,) = catalogue.read(data, ["ordinary"])
    clips = [clip for clip in found.clips if all_speakers or splits.is_held_back(clip)]
    meetings = [
        Clip(MEETINGS, path, f"{MEETINGS}/{path.stem}", ORDINARY) for path in audio_files(data / "vad")
    ]
    if not clips and not meetings:
        raise UserError(
            f"{data}/ordinary: none of its speakers is held back for tests (one in {splits.HELD_BACK} is); "
            "where training has not heard them, measure all with --all-speakers"
        )
    return clips + meetings + list(synthetic_voices.clips())


def has_ordinary(data: Path) -> bool:
    """Whether there is ordinary speech of held-back speakers."""
    if not (data / "ordinary").is_dir():
        return False
    try:
        return bool(ordinary(data))
    except UserError as error:
        log.warning("without ordinary speech: %s", error)
        return False


def _test_speakers(data: Path, corpora: Sequence[str]) -> list[Clip]:
    split = splits.load()
    clips = split.select(catalogue.clips(catalogue.read(data, corpora)), "test")
    expected = {speaker for speaker in split.test if speaker.partition("/")[0] in corpora}
    if missing := expected - {clip.speaker for clip in clips}:
        log.warning(
            "not all of the test speakers are there, so the numbers are not comparable: %s missing",
            sorted(missing),
        )
    return clips


def _name_others(data: Path, found: Found) -> None:
    """Name the folders beside those of the labels that are neither a label's nor a corpus."""
    paths = (Path(path).relative_to(data).parts for skipped in found.skipped.values() for path in skipped)
    if others := sorted({parts[0] for parts in paths} - set(catalogue.CORPORA) - SOUNDS):
        log.warning("%s: left out, as they are no label: %s", data, ", ".join(others[:10]))


def _folder(data: Path) -> Path:
    if not data.is_dir():
        raise UserError(f"{data}: no such folder")
    return data


def _log_skipped(found: Found) -> None:
    if found.clips:
        for reason, paths in found.skipped.items():
            log.warning("%s: %d left out: %s (such as %s)", found.root, len(paths), reason, paths[0])


CLIPS: Final[dict[str, Callable[[Path], list[Clip]]]] = {
    "held-out": held_out, "unseen-language": unseen_language, "folder": own,
}  # fmt: skip
