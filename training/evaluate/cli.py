"""`roomtone train evaluate`, `compare` and `report`."""

from __future__ import annotations

import argparse
import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.util.errors import UserError
from training.evaluate.protocol_names import HOURS

Step = Callable[[Any, str, Callable[[argparse.Namespace], int], str], Any]
DATA_VARIABLE = "ROOMTONE_DATA"

EVALUATE = """\
examples:
  roomtone train evaluate --protocol ordinary --bundle base --data CORPORA
  roomtone train evaluate --protocol household --bundle base --data CORPORA --cache /tmp/outputs
  roomtone train evaluate --protocol held-out --bundle base --data CORPORA
  roomtone train evaluate --protocol unseen-language --adapt baseline --bundle models/base-0.8.2 --data CORPORA --json
  roomtone train evaluate --protocol folder --data ~/recordings        # ~/recordings/<label>/*.wav
  roomtone train evaluate --protocol household --data ~/recordings     # ~/recordings/<label>/<speaker>/*.wav
  roomtone train evaluate --protocol ordinary --all-speakers --data ~/speech    # ~/speech/ordinary/<source>/*.wav
  roomtone train evaluate --protocol noise --every 5 --data CORPORA    # a quick look
  roomtone train evaluate --protocol false-alarms --hours 4 --data CORPORA
  roomtone train evaluate --protocol quantisation --bundle models/base-0.8.2 --run RUN --data CORPORA
  roomtone train evaluate --protocol ravdess-si --recipe base --out FOLDS --data CORPORA
  roomtone train evaluate --protocol ordinary-left-out --run RUN --out LEFT-OUT --data CORPORA

protocols:
{protocols}

With --json: one object, or a list of one object per condition. Accuracy, UAR and macro F1 are by argmax over all
labels, nothing left out; accuracy_restricted chooses among the labels that occur. Losses and gains are in
percentage points.
--data may be left out where ROOMTONE_DATA names the folder.
"""
COMPARE = """\
examples:
  roomtone train compare base-0.8.1 models/base-0.8.2 --data CORPORA
  roomtone train compare OLD NEW --data CORPORA --protocol held-out --protocol unseen-language --adapt baseline
  roomtone train compare OLD NEW --data ~/recordings --protocol folder --json

Differences are new less old in percentage points. Intervals: paired bootstrap over speakers, seeded. The rooms of
ordinary and household decide first, by ordinary speech that is called an emotion, neutral speech that is kept
(after 20 utterances of a room, and in its first ten) and emotions that are rightly named; the other protocols, by
macro F1, where those do not tell the two apart. NEW is called worse where an interval lies on the bad side of zero
in any row, or where it is worse than OLD by more than --margin points (chance or not); better where an interval
lies on the good side and no row is worse; else equal.

exit status: 0 NEW is better or equal, 1 NEW is worse, 2 it could not be measured.
"""
REPORT = """\
examples:
  roomtone train report --bundle models/base-0.8.2 --data CORPORA --out report
  roomtone train report --bundle base --data CORPORA --history RUN/history.json --every 5

Writes into --out, which must not exist yet: report.json (every object of every protocol), numbers.md (the numbers of
the model card) and plots/*.png. Protocols whose recordings are not there are left out and named.
"""


def register(steps: Any, step: Step) -> None:
    """Add the sub-commands `evaluate`, `compare` and `report` to the parser."""
    evaluate = step(
        steps, "evaluate", _evaluate, "measure a bundle through the interpreter that the device uses"
    )
    _epilog(evaluate, EVALUATE.format(protocols=_protocols()))
    evaluate.add_argument("--protocol", required=True, metavar="NAME", help="one of those below")
    _common(evaluate)
    evaluate.add_argument(
        "--adapt",
        choices=["baseline"],
        help="adapt to the room, causally: each corpus is one room; mean of five orders",
    )
    _of_single_protocols(evaluate)
    compare = step(steps, "compare", _compare, "compare two bundles by the same protocols, on the same clips")
    _epilog(compare, COMPARE)
    compare.add_argument("old", help="old bundle, with which it is compared: a folder or name")
    compare.add_argument("new", help="new bundle: a folder or name")
    _common(compare, bundle=False)
    compare.add_argument(
        "--protocol", action="append", metavar="NAME",
        help="ordinary, household, held-out, unseen-language, folder, noise or reverberation; may be repeated "
        "(default: ordinary, household and held-out)",
    )  # fmt: skip
    _cache(compare)
    compare.add_argument("--adapt", choices=["baseline"], help="adapt both to the room")
    compare.add_argument(
        "--margin",
        type=float,
        default=2.0,
        help="points that NEW may lose, as long as chance explains them (default: %(default)s)",
    )
    report = step(steps, "report", _report, "measure all protocols of a bundle, draw all plots")
    _epilog(report, REPORT)
    _common(report)
    report.add_argument("--out", type=Path, help="folder of the report (default: report-<bundle>)")
    report.add_argument("--history", type=Path, help="history.json of the run, for the training curves")
    report.add_argument("--hours", type=float, default=HOURS, help="of false-alarms (default: %(default)s)")


def _of_single_protocols(parser: Any) -> None:
    parser.add_argument("--hours", type=float, default=HOURS, help="of false-alarms (default: %(default)s)")
    _cache(parser)
    parser.add_argument(
        "--all-speakers", action="store_true",
        help="of ordinary: not only the speakers that are held back for tests; for speech that training has not heard",
    )  # fmt: skip
    parser.add_argument(
        "--run",
        dest="folder",
        type=Path,
        help="of quantisation: folder of the bundle's run; of ordinary-left-out: the run that is solved again",
    )
    parser.add_argument(
        "--recipe", default="base", help="of ravdess-si and random-split (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="of ravdess-si, random-split and ordinary-left-out: where runs and results are kept",
    )
    parser.add_argument(
        "--source", action="append", default=[], metavar="NAME",
        help="of ordinary-left-out: leave out only this one; may be repeated (default: all, in turn)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=1, help="of ravdess-si and random-split (default: %(default)s)"
    )


def _cache(parser: Any) -> None:
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep the outputs of utterances here for the next protocol"
    )


def _epilog(parser: Any, text: str) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = text


def _protocols() -> str:
    from training.evaluate.protocol_names import PROTOCOLS

    width = max(map(len, PROTOCOLS)) + 4
    return "\n".join(
        textwrap.fill(text, 118, initial_indent=f"  {name:<{width - 2}}", subsequent_indent=" " * width)
        for name, text in PROTOCOLS.items()
    )


def _common(parser: Any, bundle: bool = True) -> None:
    if bundle:
        parser.add_argument(
            "--bundle", default="base", help="a bundle's folder or name (default: %(default)s)"
        )
    parser.add_argument(
        "--data", type=Path, help=f"the corpora, or DIR of DIR/<label>/* (default: ${DATA_VARIABLE})"
    )
    parser.add_argument("--every", type=int, default=1, help="only every so many clips, for a quick look")


def _checked(options: argparse.Namespace) -> Path:
    if options.every < 1:
        raise UserError("--every must be 1 or more")
    if getattr(options, "hours", 1.0) <= 0:
        raise UserError("--hours must be above 0")
    if options.data is None:
        if not os.environ.get(DATA_VARIABLE):
            raise UserError(f"name the folder of the recordings with --data, or in {DATA_VARIABLE}")
        return Path(os.environ[DATA_VARIABLE])
    return Path(options.data)


def _evaluate(options: argparse.Namespace) -> int:
    from training.evaluate import protocol_names
    from training.evaluate.report import tables

    data = _checked(options)
    protocol_names.check(options.protocol)
    if options.protocol in protocol_names.OWN_TRAINING:
        measured = _own_training(options, data)
    else:
        from edge.inference import bundle
        from training.evaluate import registry
        from training.evaluate.evaluator import Evaluator

        found = bundle.load(bundle.find(options.bundle))
        measured = registry.run_all(
            options.protocol,
            Evaluator(
                found,
                data,
                options.every,
                options.json,
                options.folder,
                options.hours,
                options.cache,
                options.all_speakers,
            ),
            options.adapt,
        )
    if options.json:
        print(json.dumps(measured[0] if len(measured) == 1 else measured))
    else:
        print(tables.text(measured))
    return 0


def _own_training(options: argparse.Namespace, data: Path) -> list[dict[str, Any]]:
    """The objects of a protocol that trains by itself."""
    from training.evaluate import protocol_names
    from training.evaluate.own_training import left_out, protocols
    from training.recipes import recipe

    if options.protocol == protocol_names.LEFT_OUT and options.folder is None:
        raise UserError(f"{options.protocol} solves the head of a run again: name its folder with --run")
    chosen = recipe.load(options.recipe)
    if options.out is None:
        raise UserError(f"{options.protocol} trains and keeps its runs: name their folder with --out")
    if options.protocol == protocol_names.LEFT_OUT:
        return left_out.run(
            left_out.Job(options.folder, data, options.out, tuple(options.source), options.json)
        )
    return protocols.run(
        options.protocol, protocols.Job(chosen, data, options.out, options.seed, options.json)
    )


def _compare(options: argparse.Namespace) -> int:
    from edge.inference import bundle
    from training.evaluate import compare
    from training.evaluate.report import tables

    data = _checked(options)
    old, new = (bundle.load(bundle.find(name)) for name in (options.old, options.new))
    found = compare.run(
        old, new, data, options.protocol or (),
        adapt=options.adapt, every=options.every, margin=options.margin, quiet=options.json, cache=options.cache,
    )  # fmt: skip
    print(json.dumps(found) if options.json else tables.comparison(found))
    return 1 if found["verdict"] == "worse" else 0


def _report(options: argparse.Namespace) -> int:
    from edge.inference import bundle
    from training.evaluate.report import report

    data = _checked(options)
    found = bundle.load(bundle.find(options.bundle))
    out = options.out or Path(f"report-{found.full_name}")
    made = report.run(
        found,
        data,
        out,
        history=options.history,
        every=options.every,
        hours=options.hours,
        quiet=options.json,
    )
    print(
        json.dumps({"report": str(out), **made})
        if options.json
        else (out / report.NUMBERS).read_text(encoding="utf-8")
    )
    return 0
