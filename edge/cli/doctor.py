"""`roomtone doctor`: is this box as it should be, and if not, what is the remedy?

The checks come from the parts that are installed (entry points `roomtone.checks`): functions that yield `Check`, and
that are given the configuration when they take an argument.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from typing import Any, Final

import msgspec

from edge.config.load import SYSTEM_CONFIG, load
from edge.config.options import add_config_options, overrides
from edge.config.settings import Config
from edge.doctor.check import Check

ORDER: Final = ("model", "ear", "link")


def register(subparsers: Any) -> None:
    """Adds `roomtone doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation and say the remedies",
        description=f"Checks this machine with the configuration given, else with {SYSTEM_CONFIG} where there is one. "
        "Exit status 0 when nothing failed; warnings are allowed.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  roomtone doctor\n  roomtone doctor --config room.toml --json\n"
        "  roomtone doctor --bench         is this box fast enough, and for which model?",
    )
    add_config_options(parser)
    parser.add_argument("--only", choices=ORDER, help="only what concerns one part")
    parser.add_argument(
        "--json", action="store_true", help="one JSON array of checks; with --bench one object"
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="instead of checking, measure this box with every bundle that is here and say which one fits; "
        "status 1 when none does",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs all checks; 1 when one has failed. Raises `UserError` when the configuration cannot be used."""
    path = options.config or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)
    config = load(path, overrides(options.settings))
    if options.bench:
        return bench(config, json=options.json)
    entries = sorted(
        (e for e in entry_points(group="roomtone.checks") if options.only in {None, e.name}),
        key=lambda e: (ORDER.index(e.name) if e.name in ORDER else 99, e.name),
    )
    configured = path is not None or bool(options.settings)
    found: list[Check] = []
    for entry in entries:
        for seen in examine(entry, config):
            check = seen if configured or entry.name != "link" else _not_yet(seen)
            found.append(check)
            if not options.json:
                print(line(check), flush=True)
    failed = sum(check.state == "fail" for check in found)
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        warned = sum(check.state == "warn" for check in found)
        print(f"{len(found)} checks: {failed} failed, {warned} to look at")
    return 1 if failed else 0


def bench(config: Config, *, json: bool) -> int:
    """Measures the box; 1 when no bundle fits. Raises `UserError` where there is no bundle."""
    from edge.doctor import benchmark

    def say(text: str) -> None:
        if not json and sys.stderr.isatty():
            print(f"\r\x1b[Kmeasuring: {text}", end="", file=sys.stderr, flush=True)

    report = benchmark.measure(config, say)
    if not json and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(msgspec.json.encode(report).decode() if json else benchmark.picture(report))
    return 0 if report.recommended else 1


def examine(entry: Any, config: Config) -> Iterator[Check]:
    """The checks of one part. A check that breaks is a failed one, not the end of the others."""
    try:
        function = entry.load()
        checks: Iterable[Check] = function(config) if inspect.signature(function).parameters else function()
        yield from checks
    except ModuleNotFoundError as error:
        yield Check(
            entry.name, "warn", f"not installed here ({error})", "fine, unless this machine should have it"
        )
    except Exception as error:
        yield Check(
            entry.name, "fail", f"the check itself failed: {type(error).__name__}: {error}", "report this"
        )


def _not_yet(check: Check) -> Check:
    """Without a configuration this is no room device yet: that no broker answers at the default place is no failure."""
    return Check(check.name, "warn", check.detail, check.remedy) if check.state == "fail" else check


def line(check: Check) -> str:
    """One check for people; the remedy on a line of its own."""
    mark = {"ok": " ok ", "warn": "WARN", "fail": "FAIL"}[check.state]
    text = f"[{mark}] {check.name}: {check.detail}"
    return f"{text}\n       -> {check.remedy}" if check.remedy else text
