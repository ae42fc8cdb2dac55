"""How a network is tuned: the settings of all stages.

The defaults are those of the shipped weights of `small`, and of the first of the two runs whose mean `base` is
(docs/decisions/0033-rooms-first-then-several-seeds.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class Tuning:
    """The settings of all stages; the defaults are those of `base`, `STUDENT` has those of `small`.

    What docs/decisions/0027-all-layers-are-tuned-on-dry-speech.md describes is
    `Tuning(first_steps=0, steps=900, seeds=1, held_tokens=0, kept=0.5, rounds=3, rooms=(0.55,))`.
    """

    first_steps: int = 1500
    """Steps of stage 1, without labels; 0: an encoder begins stage 2 as it came."""
    first_batch: int = 160
    """Utterances of one step of stage 1."""
    first_rate: float = 2e-4
    first_warm_up: float = 0.1
    """Share of the steps of stage 1."""
    first_decay: float = 0.0
    """Weight decay of stage 1."""
    learnt: tuple[int, ...] = ()
    """Layers of the tuned teacher whose tokens a student learns in stage 1; an encoder learns those that it pools."""
    steps: int = 1000
    """Steps of stage 2, for each seed."""
    rate: float = 1e-4
    seeds: int = 5
    """So many times stage 2 is run, each with households and batches of its own; the mean of all is taken."""
    households: int = 8
    """In one batch of stage 2."""
    utterances: int = 24
    """Of one household, at most."""
    acted: float = 0.75
    """Share of households with acted speech, half of them of each corpus; the others are ordinary speech."""
    held: float = 0.3
    """Weight of the squared distance of the pooled features from those of dry speech, in units of their deviation."""
    held_tokens: float = 0.3
    """The same of the tokens, aligned in time; 0 for a student."""
    taught: float = 0.0
    """Weight of the teacher's answers as soft targets beside the labels; a student alone has a teacher."""
    first_kept: float = 0.4
    """Share that is kept of what stage 1 moved the weights of an encoder."""
    kept: float = 0.6
    """Share that is kept of what the seeds moved the weights from there, on average."""
    narrow_steps: int = 3000
    """Steps of stage 3, for an encoder with fewer units than it came with; batch and rate are those of stage 1."""
    narrow_taught: float = 1.0
    """As `taught`, in stage 4 of such an encoder, whose teacher is the wide one; all else is as in stage 2."""
    narrow_first_kept: float = 0.4
    """As `first_kept`, of what stage 3 moved the weights of the encoder whose units were removed."""
    narrow_kept: float = 0.4
    """As `kept`, of what the seeds of stage 4 moved."""
    rounds: int = 12
    """Times that all clips are dealt to households anew."""
    rooms: tuple[float, ...] = (0.85, 0.6, 0.6)
    """Share of households with a room; those of round `n` have the share of place `n` modulo their number."""


STUDENT: Final = Tuning(
    first_steps=6000, first_batch=192, first_rate=2e-3, first_warm_up=0.05, first_decay=0.01, learnt=(2, 4),
    steps=900, rate=5e-4, seeds=3, held=0.1, held_tokens=0.0, taught=1.0, kept=1.0,
)  # fmt: skip


def of(recipe: Recipe) -> Tuning:
    """Return the settings for a recipe: those of the encoder, or those of the student."""
    return STUDENT if recipe.architecture == "student" else Tuning()
