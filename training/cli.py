"""`roomtone train ...`: fit, export, evaluate and more. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError
from training.evaluate import cli as evaluation
from training.vad import cli as vad

DATA_HELP = "folder that holds the corpora as ravdess/, nemo/, ... and whisper-base-encoder.npz"


EPILOG: Final = """examples:
  roomtone train corpora --data CORPORA
  roomtone train tune --data CORPORA --out TUNED
  roomtone train fit --data CORPORA --out RUN --from TUNED/tuned.npz
  roomtone train export --run RUN --data CORPORA --version 0.5.0
  roomtone train vad --from silero_vad.onnx
  roomtone train evaluate --protocol held-out --bundle base --data CORPORA
  roomtone train STEP --help
"""

TUNE_EPILOG: Final = """stage 1: the network learns without labels to hear through rooms; an encoder what it gave for
dry speech, a student the tokens of its teacher. stage 2: emotion against a baseline, for several seeds, and the mean.
A killed command that is repeated goes on where it was.

examples:
  roomtone train tune --recipe base --data CORPORA --out TUNED
  roomtone train fit --data CORPORA --out RUN --from TUNED/tuned.npz
  roomtone train tune --recipe small --teacher TUNED/tuned.npz --data CORPORA --out TUNED-SMALL
  roomtone train fit --data CORPORA --out RUN-SMALL --from TUNED-SMALL/tuned.npz
"""


def register(commands: Any) -> None:
    """Add `roomtone train` and its sub-commands to the parser."""
    parser = commands.add_parser(
        "train",
        help="train, export and evaluate models (workstation)",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    register_on(parser.add_subparsers(metavar="STEP", dest="step", required=True))


def register_on(steps: Any) -> None:
    """Add the sub-commands of `roomtone train` to a parser of their own."""
    fit = _step(steps, "fit", _fit, "fit a recipe; continues by itself after a kill")
    fit.add_argument("--recipe", help="a shipped recipe or a .toml file (default: that of --from, or base)")
    fit.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    fit.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoints and history")
    fit.add_argument("--seed", type=int, default=1, help="of all that is random (default: %(default)s)")
    fit.add_argument(
        "--from", dest="start", metavar="BUNDLE",
        help="go on from a bundle (folder or name), from the weights of an earlier run (epoch-NN.npz), or from tuned "
        "ones (tuned.npz), on which the head alone is solved",
    )  # fmt: skip
    fit.add_argument(
        "--add", type=Path, action="append", default=[], metavar="DIR",
        help="with --from BUNDLE: new recordings DIR/<label>/* or DIR/<label>/<speaker>/*, and ordinary speech that "
        "has no labels in DIR/ordinary/*; may be repeated",
    )  # fmt: skip
    fit.add_argument(
        "--force", action="store_true",
        help="go on where the added recordings make a head that tells recordings apart, not emotions",
    )  # fmt: skip
    fit.add_argument("--workers", type=int, help="processes that augment (default: by the number of cores)")
    _register_tune(steps)
    export = _step(
        steps, "export", _export, "make a bundle from a run: convert, calibrate, measure, describe"
    )
    export.add_argument("--run", dest="folder", type=Path, required=True, help="folder of the run")
    export.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    export.add_argument(
        "--out", type=Path, default=Path("models"), help="folder for the bundle (default: %(default)s)"
    )
    export.add_argument("--version", required=True, help="such as 0.1.0")
    export.add_argument("--epoch", type=int, help="epoch whose weights are taken (default: the last)")
    export.add_argument(
        "--protocol", action="append", default=[], metavar="NAME",
        help="measure only this one for the model card; may be repeated (default: all)",
    )  # fmt: skip
    export.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep the outputs of utterances here for `evaluate`"
    )
    export.add_argument(
        "--graph-of", metavar="BUNDLE",
        help="take the graph of an earlier export of this run, and choose the constants anew",
    )  # fmt: skip
    export.add_argument("--note", default="", metavar="TEXT", help="a paragraph for the model card")
    export.add_argument("--machine", default="", help="where the run was computed, for the model card")
    vad.register(steps)
    corpora = _step(
        steps, "corpora", _corpora, "what was found below a data folder, what was skipped and why"
    )
    corpora.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    evaluation.register(steps, _step)


def _register_tune(steps: Any) -> None:
    tune = _step(
        steps, "tune", _tune, "tune an encoder or a student, for `fit --from` (wants a graphics card)"
    )
    tune.epilog, tune.formatter_class = TUNE_EPILOG, argparse.RawDescriptionHelpFormatter
    tune.add_argument("--recipe", default="base", help="with a relative head (default: %(default)s)")
    tune.add_argument(
        "--teacher", type=Path, metavar="TUNED.npz",
        help="for a student: the weights of a tuned encoder, whose tokens and answers it learns",
    )  # fmt: skip
    tune.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    tune.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoints and tuned.npz")
    tune.add_argument("--seed", type=int, default=1, help="the first of the seeds (default: %(default)s)")
    tune.add_argument(
        "--first-steps", type=int, help="of stage 1; 0 leaves it out (default: 1500; small: 6000)"
    )
    tune.add_argument("--steps", type=int, help="of stage 2, for each seed (default: 1000; small: 900)")
    tune.add_argument("--seeds", type=int, help="so many times stage 2, and the mean (default: 5; small: 3)")
    tune.add_argument(
        "--kept", type=float, metavar="SHARE",
        help="share that is kept of what the seeds moved, on average (default: 0.6; small: 1)",
    )  # fmt: skip
    tune.add_argument("--workers", type=int, help="processes that augment (default: by the number of cores)")


def check(options: argparse.Namespace) -> None:
    """Refuse a folder of data that is not there, before libraries are loaded or installed. Raises `UserError`."""
    data: Path | None = getattr(options, "data", None)
    if data is not None and not data.is_dir():
        raise UserError(f"--data {data}: no such folder; docs/model/base.md says what it holds")


def _step(steps: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
    parser = steps.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(run=_with_libraries(run))
    return parser


def _with_libraries(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A library that is not installed is the user's to mend."""

    def checked(options: argparse.Namespace) -> int:
        _logging()
        try:
            return run(options)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is not installed: install the extra training (docs/install.md)"
            ) from None

    return checked


def _fit(options: argparse.Namespace) -> int:
    from training.networks import backend

    _check_fit(options)
    backend.choose("torch", "tensorflow", "jax")
    from training.calibrate import added
    from training.fit import trainer as fit

    found = fit.run(_job(options))
    changed = added.measure(options.out, found, force=options.force)
    if options.json:
        print(json.dumps(found | ({"household": changed} if changed else {})))
    else:
        for entry in found["history"]:
            print("  ".join(f"{key} {value}" for key, value in entry.items()))
        print(f"best epoch: {found['best_epoch']} (by macro F1 on the speakers of `calibrate`)")
        if changed:
            print(added.text(changed))
    if changed and changed["reasons"]:
        if not options.force:
            raise UserError(added.stopped(changed["reasons"]))
        import logging

        logging.getLogger("training").warning("forced: %s", "; ".join(changed["reasons"]))
    return 0


def _check_fit(options: argparse.Namespace) -> None:
    """Refuse what cannot work before a framework is loaded, which takes seconds. Raises `UserError`."""
    from edge.inference import bundle
    from training.fit import retrain
    from training.recipes import recipe

    if options.recipe:
        recipe.load(options.recipe)
    start: str | None = options.start
    is_bundle = start is not None and not start.endswith(".npz")
    if options.add and not is_bundle:
        raise UserError("--add goes with --from BUNDLE: new recordings are added to what a bundle has learnt")
    if start is not None and is_bundle:
        bundle.find(start)
    elif start is not None and not os.path.isfile(start):  # noqa: PTH113 - no error for any name
        raise UserError(f"--from {start}: no such file")
    _check_data(options)
    retrain.recordings(options.add, ordinary=True)


def _check_data(options: argparse.Namespace) -> None:
    """The options that `fit` and `tune` share. Raises `UserError`."""
    from training.data import splits
    from training.data.corpora import catalogue

    check(options)
    for name in splits.load().corpora:
        catalogue.folder_of(options.data, name)
    if options.workers is not None and options.workers < 0:
        raise UserError(f"--workers {options.workers}: 0 or more")
    if options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out {options.out}: is no folder")


def _job(options: argparse.Namespace) -> Any:
    """What `fit` is asked to do."""
    from edge.inference import bundle
    from training.fit import checkpoint, retrain
    from training.fit.inputs import Job
    from training.fit.tuning import command
    from training.recipes import recipe

    chosen = recipe.load(options.recipe) if options.recipe else None
    own: dict[str, Any] = {"quiet": options.json, "workers": options.workers}
    start = options.start
    if start is None:
        return Job(chosen or recipe.load("base"), options.data, options.out, options.seed, **own)
    if start.endswith(".npz"):
        weights, tuned = checkpoint.load_weights(Path(start)), command.recipe_of(Path(start))
        chosen = chosen or tuned or recipe.load("base")
        if tuned is not None:
            chosen = retrain.head_alone(chosen)
        notes = {"from": start}
        return Job(chosen, options.data, options.out, options.seed, start=weights, notes=notes, **own)
    plan = retrain.plan(bundle.load(bundle.find(start)), options.add, options.data, options.seed, chosen)
    return Job(
        plan.recipe,
        options.data,
        options.out,
        options.seed,
        start=plan.weights,
        notes=plan.facts,
        task=plan.task,
        **own,
    )


def _tune(options: argparse.Namespace) -> int:
    from training.networks import backend
    from training.recipes import recipe

    chosen = recipe.load(options.recipe)
    if options.teacher is not None and not os.path.isfile(options.teacher):  # noqa: PTH113 - no error for any name
        raise UserError(f"--teacher {options.teacher}: no such file")
    _check_data(options)
    backend.choose("torch", "tensorflow", "jax")
    from training.fit.inputs import Job
    from training.fit.tuning import command, settings

    given = {name: getattr(options, name) for name in ("first_steps", "steps", "seeds", "kept")}
    how = replace(settings.of(chosen), **{name: value for name, value in given.items() if value is not None})
    job = Job(chosen, options.data, options.out, options.seed, quiet=options.json, workers=options.workers)
    made = command.run(job, how, options.teacher)
    print(json.dumps({"weights": str(made)}) if options.json else made)
    return 0


def _export(options: argparse.Namespace) -> int:
    from edge.inference import bundle
    from training.evaluate import protocol_names
    from training.evaluate.report.describe import describe
    from training.export import bundle as export

    for name in options.protocol:
        protocol_names.check(name)
    made = export.run(
        export.Job(
            options.folder, options.data, options.out, options.version, options.epoch, options.machine,
            quiet=options.json, protocols=tuple(options.protocol), cache=options.cache, note=options.note,
            graph_of=bundle.load(bundle.find(options.graph_of)) if options.graph_of else None,
        ),
        describe,
    )  # fmt: skip
    print(json.dumps({"bundle": str(made)}) if options.json else made)
    return 0


def _corpora(options: argparse.Namespace) -> int:
    from training.data.corpora import catalogue

    check(options)
    rows = catalogue.table(options.data)
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        skipped = row["skipped"]
        assert isinstance(skipped, dict)
        why = "; ".join(f"{count} skipped: {reason}" for reason, count in skipped.items())
        notes = "; ".join(part for part in (why, str(row["note"])) if part)
        print(f"{row['corpus']:10} {row['found']:6} clips {row['speakers']:4} speakers  {notes}")
    return 0


def _logging() -> None:
    import logging

    from edge.util.text.log_lines import LineFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s "))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("training").setLevel(logging.INFO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command without the `roomtone` command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="roomtone train")
    register_on(parser.add_subparsers(metavar="STEP", dest="step", required=True))
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except UserError as error:
        print(f"roomtone train: {error}", file=sys.stderr)
        return 2
    return status
