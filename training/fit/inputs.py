"""What to fit, and what a run reads before it starts: recordings, noise, impulse responses, the data loader."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.util.errors import UserError, reason
from training.augment import household, room_simulation
from training.data.corpora import impulse_responses, noise
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.data.task import Task
from training.fit import batches, data_loader
from training.fit.validator import Validator
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training run: what to fit, on which data, and the folder to write to."""

    recipe: Recipe
    data: Path
    out: Path
    seed: int
    quiet: bool = False
    start: Sequence[NDArray[Any]] | None = None
    """Weights to begin with, in the order of the network, in place of the bare encoder."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Kept in the history: where the weights come from."""
    workers: int | None = None
    """Processes that augment; none given: by the number of cores."""
    save_every: int = 100
    """Steps between two checkpoints."""
    steps: int | None = None
    """Steps after which an epoch ends early, for a test run."""
    task: Task | None = None
    """Clips to fit and to validate on; none given: the speakers of `splits.toml`."""
    pooled: Path | None = None
    """Folder of a frozen encoder's pooled features, shared by several runs; none given: in `out`."""
    also: Sequence[Clip] = ()
    """Clips that the frozen encoder pools for those other runs; they are not fitted."""
    calibrated: bool = True
    """Whether to write out-of-fold predictions, too, which the export calibrates by."""

    def make_out(self) -> None:
        """Create the folder of the run, once the data are known to be there. Raises `UserError`."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.out}: cannot be made ({reason(error)})") from None


@dataclass
class Inputs:
    """The data that a training run holds in memory: recordings, noise, impulse responses, and the data loader."""

    task: Task
    clips: list[Clip]
    """Clips of `source` in its order: those of `task.fitting`, and those that are pooled for other runs."""
    lengths: list[float]
    source: batches.Source
    loader: data_loader.DataLoader
    validator: Validator


def read_inputs(
    job: Job, task: Task, *, dry: bool = False, room_shares: Sequence[float] = (household.ROOM_SHARE,)
) -> Inputs:
    """Read recordings, noise and impulse responses into memory and start the data loader. Raises `UserError`.

    With `dry` its batches hold dry speech, too; `room_shares` are those of `batches.Source`.
    """
    sounds = Sounds()
    fitting = sounds.readable(task.fitting, "reading", job.quiet)
    validation = sounds.readable(task.validation, "reading", job.quiet)
    task = dataclasses.replace(task, fitting=fitting, validation=validation)
    noises = noise.training_files(job.data)
    unreadable = set(sounds.load(noises, "reading noise", job.quiet))
    noises = [
        path for path in noises if path not in unreadable and np.abs(sounds[path].astype(np.int32)).max() > 30
    ]
    talk = sounds.readable(task.ordinary, "reading ordinary speech", job.quiet)
    task = dataclasses.replace(task, ordinary=tuple(talk))
    clips = fitting + talk
    if job.also:
        # One order for all runs that share the features, whichever speakers are fitted.
        also = sounds.readable(job.also, "reading", job.quiet)
        clips = sorted(clips + also, key=lambda clip: clip.path)
    lengths = [speech_seconds(sounds[clip.path]) for clip in clips]
    log.info(
        "%s: %d clips to fit, %d to choose epochs by, %d noises, backend %s, seed %d",
        job.recipe.name, len(task.fitting), len(task.validation), len(noises), keras.backend.backend(), job.seed,
    )  # fmt: skip
    # The processes that augment are forked here, before the network takes threads and memory.
    simulated = room_simulation.bank(job.recipe.augment.rooms, job.seed, job.quiet)
    rooms = [*simulated, *(impulse_responses.training(job.data) if simulated else [])]
    source = batches.Source(clips, task.labels, sounds, noises, job.recipe, rooms, dry, room_shares)
    loader = data_loader.DataLoader(source, job.workers)
    return Inputs(task, clips, lengths, source, loader, Validator(task.validation, task.labels, sounds))


def speech_seconds(samples: NDArray[np.int16]) -> float:
    """Return the seconds of int16 samples `[n]` at 16 kHz that a network reads: speech and margins, at most 3."""
    begin, end = features.speech_bounds(features.to_float(samples))
    return min(3.0, (end - begin) / 16000 + 0.3)
