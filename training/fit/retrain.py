"""Periodic retraining: go on from a bundle with new labelled recordings, and hear the old ones again.

Rehearsal (Robins 1995, doi 10.1080/09540099550039318) keeps a network from forgetting: each epoch draws from the old
corpora and from the new recordings alike, by the square roots of their sizes (`batches.plan`). The rates are a third
of the recipe's and the epochs few, because the weights are near where they should be. A head that a recipe solves in
closed form (`probe`) is solved again, on the old and the new recordings together: that forgets nothing at all. A head
that is relative to a baseline takes ordinary speech of the user's own, too (`DIR/ordinary/*`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.data import task as tasks
from training.data.corpora import folder
from training.data.corpora.clip import ORDINARY, Clip
from training.fit import resume
from training.networks import pretrained as encoder
from training.recipes.recipe import Recipe

SLOWER: Final = 0.3
EPOCHS: Final = 3
HELD_BACK: Final = 5
"""Of so many new speakers, one is for validation only."""


@dataclass(frozen=True)
class Further:
    """What retraining starts from: recipe, initial weights, old and added clips, and facts for the run's history."""

    recipe: Recipe
    weights: list[NDArray[Any]]
    task: tasks.Task
    facts: dict[str, Any]
    """For the run's history: the bundle and the folders that were added."""


def gentle(recipe: Recipe) -> Recipe:
    """Return the recipe with a smaller learning rate and fewer epochs, for weights that are trained already."""
    return msgspec.structs.replace(
        recipe,
        # What a student fitted its teacher stays: its head is solved again.
        epochs=0 if recipe.distil else min(EPOCHS, recipe.epochs),
        head_rate=recipe.head_rate * SLOWER,
        trunk_rate=recipe.trunk_rate * SLOWER,
    )


def head_alone(recipe: Recipe) -> Recipe:
    """Return the recipe for weights that are tuned: a student is not distilled again, its head alone is solved."""
    return msgspec.structs.replace(recipe, epochs=0) if recipe.distil is not None else recipe


def plan(
    bundle: Bundle, added: Sequence[Path], data: Path, seed: int, recipe: Recipe | None = None
) -> Further:
    """Prepare retraining of a bundle with added recordings: recipe, weights and clips.

    Raises `UserError`, also for a recipe that does not fit the bundle's weights.
    """
    own, weights = resume.read(bundle, lambda: encoder.load(data))
    if recipe is not None and (
        recipe.architecture, recipe.layers, recipe.embedding, recipe.student
    ) != (own.architecture, own.layers, own.embedding, own.student):  # fmt: skip
        raise UserError(
            f"the recipe {recipe.name} is of another network than {bundle.full_name}: leave it out"
        )
    relative = (recipe or own).relative is not None
    old, new = tasks.shipped(data, ordinary=relative), recordings(added, ordinary=relative)
    talk = [clip for clip in new if clip.label == ORDINARY]
    fitting, validation = halves([clip for clip in new if clip.label != ORDINARY], seed)
    task = tasks.Task(old.fitting + fitting, old.validation + validation, ordinary=(*old.ordinary, *talk))
    facts = {
        "from": bundle.full_name, "from_sha256": bundle.sha256, "added": [str(root.resolve()) for root in added],
        "added_clips": {"fit": len(fitting), "validate": len(validation), "ordinary": len(talk)},
    }  # fmt: skip
    return Further(recipe or gentle(own), weights, task, facts)


def recordings(added: Sequence[Path], *, ordinary: bool = False) -> list[Clip]:
    """List the clips of folders `DIR/<label>/*` or `DIR/<label>/<speaker>/*`.

    With `ordinary`, those of `DIR/ordinary/*`, too. Raises `UserError` where a folder holds none.
    """
    clips: list[Clip] = []
    for root in added:
        if not root.is_dir():
            raise UserError(f"{root}: no such folder")
        found = folder.scan(root)
        talk = folder.scan_ordinary(root) if ordinary else []
        if not found.clips and not talk:
            why = (
                "; ".join(f"{len(paths)} x {reason}" for reason, paths in found.skipped.items())
                or "it is empty"
            )
            raise UserError(f"{root} holds no labelled recording (DIR/<label>/*): {why}")
        clips.extend(found.clips + talk)
    return clips


def halves(clips: Sequence[Clip], seed: int) -> tuple[list[Clip], list[Clip]]:
    """Split clips into those to fit and those to validate on: every fifth speaker is for validation only.

    With fewer than five speakers all clips are fitted, and the second list is empty.
    """
    speakers = sorted({clip.speaker for clip in clips})
    random.Random(seed).shuffle(speakers)
    held = set(speakers[: len(speakers) // HELD_BACK])
    return [c for c in clips if c.speaker not in held], [c for c in clips if c.speaker in held]
