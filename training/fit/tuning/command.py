"""`roomtone train tune`: what is asked for is checked, all stages are run, and `tuned.npz` is written.

Every file in the folder of the run is that of one set of settings, recordings and weights to begin with
(`tuning.json`); a killed command that is repeated goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.util.errors import UserError
from training.data import task as tasks
from training.fit import checkpoint, relative
from training.fit.inputs import Job, read_inputs
from training.fit.tuning import encoder, settings, student
from training.fit.tuning.settings import Tuning
from training.fit.tuning.stages import Run, Weights
from training.networks import transformer
from training.recipes import recipe as recipes
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)
RESULT: Final = "tuned.npz"
FACTS: Final = "tuning.json"


def run(job: Job, how: Tuning | None = None, teacher: Path | None = None) -> Path:
    """Tune, or continue in `job.out`; write and return the weights that `fit --from` begins with. Raises `UserError`.

    Needs a recipe with a relative head; that of a student needs a `teacher`, the `tuned.npz` of an encoder. On a
    graphics card it takes about an hour, on two processor cores days.
    """
    how = how or settings.of(job.recipe)
    _check(job.recipe, how, teacher)
    lesson = _teacher(teacher) if teacher else None
    task = job.task or tasks.shipped(job.data, ordinary=True)
    # Its speakers are unknown and most of it has no emotion: it is for the head alone.
    task = replace(task, fitting=[clip for clip in task.fitting if clip.corpus != relative.FIELD])
    facts = _claim(job, how, task, teacher)
    result = job.out / RESULT
    if result.is_file():
        return result
    inputs = read_inputs(job, task, dry=True, room_shares=how.rooms)
    try:
        made = Run(job, how, inputs)
        weights = student.tune(made, *lesson) if lesson else encoder.tune(made)
    finally:
        inputs.loader.close()
    checkpoint.save_weights(result, weights, facts | {"recipe": msgspec.to_builtins(job.recipe)})
    return result


def recipe_of(path: Path) -> Recipe | None:
    """Return the recipe of the network whose weights a `tuned.npz` holds; None for any other file of weights.

    Raises `UserError` where the file cannot be read.
    """
    facts = checkpoint.facts_in(path)
    return recipes.from_document(facts["recipe"]) if facts and "recipe" in facts else None


def _check(recipe: Recipe, how: Tuning, teacher: Path | None) -> None:
    if recipe.relative is None or recipe.probe is None or recipe.merge != 1:
        raise UserError(
            f"{recipe.name}: only a network with a relative head and tokens of 20 ms can be tuned"
        )
    if not recipe.augment.households:
        raise UserError(
            f"{recipe.name}: layers are tuned on simulated households: set augment.households = true"
        )
    if how.seeds < 1 or how.steps < 1 or how.first_steps < 0:
        raise UserError("--seeds and --steps are at least 1, --first-steps is not negative")
    if recipe.architecture != "student":
        if teacher is not None:
            raise UserError(f"{recipe.name} is an encoder and has no teacher: leave --teacher out")
        return
    if teacher is None:
        raise UserError(
            f"{recipe.name} is a student: tune an encoder first (`roomtone train tune --recipe base`), "
            "and name its weights: --teacher TUNED/tuned.npz"
        )
    if not how.first_steps:
        raise UserError(f"{recipe.name} is a student: without stage 1 it has learnt nothing to be tuned")


def _teacher(path: Path) -> tuple[Recipe, Weights]:
    """Recipe and weights of a tuned encoder. Raises `UserError` for those of another network."""
    recipe, weights = recipe_of(path) or recipes.load("base"), checkpoint.load_weights(path)
    if recipe.architecture == "student" or recipe.relative is None or recipe.probe is None:
        raise UserError(f"--teacher {path}: not an encoder with a relative head, but {recipe.name}")
    shapes = [tuple(one.shape) for one in transformer.make(recipe).weights]
    if [one.shape for one in weights] != shapes:
        raise UserError(
            f"--teacher {path}: not the weights of {recipe.name}: name the tuned.npz of `train tune`"
        )
    return recipe, weights


def _claim(job: Job, how: Tuning, task: tasks.Task, teacher: Path | None) -> dict[str, Any]:
    """Make the folder of the run, or find it to be that of this one. Returns the facts that tell it from others."""
    facts = {
        "tuning": asdict(how), "recipe_sha256": job.recipe.sha256(), "seed": job.seed, "task_sha256": task.sha256(),
        "teacher_sha256": hashlib.sha256(teacher.read_bytes()).hexdigest() if teacher else None,
    }  # fmt: skip
    job.make_out()
    path = job.out / FACTS
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    try:
        there = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}): name another --out") from None
    if there is None:
        checkpoint.write_bytes(path, json.dumps(plain, indent=1).encode())
    elif there != plain:
        raise UserError(f"{path} belongs to another run: name another --out, or remove that folder")
    return plain
