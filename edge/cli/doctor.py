"""`roomtone doctor`: checks the installation and names the remedies.

The checks come from the installed parts (entry points `roomtone.checks`): functions of the configuration, or of
nothing, that yield `Check`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from edge.config.options import SYSTEM_CONFIG, add_config_options, overrides
from edge.util.entry_points import entry_points
from edge.util.text.terminal import printable

if TYPE_CHECKING:
    from edge.config.settings import Config
    from edge.doctor.check import Check

EPILOG: Final = """examples:
  roomtone doctor
  roomtone doctor --config room.toml --json
  roomtone doctor --bench         measure this device and recommend a bundle
"""
ORDER: Final = ("model", "ear", "link")


def register(subparsers: Any) -> None:
    """Add `roomtone doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation and name the remedies",
        description=f"Checks this machine with the given configuration, else with {SYSTEM_CONFIG} where it exists. "
        "The exit status is 0 when no check has failed; warnings are allowed.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    add_config_options(parser)
    parser.add_argument("--only", choices=ORDER, help="run only the checks of one part")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON array of checks; with --bench one object"
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="instead of checking, measure every bundle on this device and recommend one; status 1 when none fits",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run all checks; returns 1 when one has failed. Raises `UserError` when the configuration is invalid."""
    from edge.config.load import load

    path = options.config or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)
    config = load(path, overrides(options.settings))
    if options.bench:
        return run_benchmark(config, as_json=options.json)
    import msgspec

    entries = sorted(
        (e for e in entry_points("roomtone.checks") if options.only in {None, e.name}),
        key=lambda e: (ORDER.index(e.name) if e.name in ORDER else 99, e.name),
    )
    configured = path is not None or bool(options.settings)
    found: list[Check] = []
    for entry in entries:
        for result in run_checks(entry, config):
            check = result if configured or entry.name != "link" else _as_warning(result)
            found.append(check)
            if not options.json:
                print(format_check(check), flush=True)
    failed = sum(check.state == "fail" for check in found)
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        warned = sum(check.state == "warn" for check in found)
        print(f"{len(found)} checks: {failed} failed, {warned} warning{'' if warned == 1 else 's'}")
    return 1 if failed else 0


def run_benchmark(config: Config, *, as_json: bool) -> int:
    """Measure the bundles; returns 1 when none fits. Raises `UserError` where there is no bundle."""
    import msgspec

    from edge.doctor import benchmark

    show = not as_json and sys.stderr.isatty()

    def progress(text: str) -> None:
        if show:
            print(f"\r\x1b[Kmeasuring: {text}", end="", file=sys.stderr, flush=True)

    report = benchmark.measure(config, progress)
    if show:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print(msgspec.json.encode(report).decode() if as_json else benchmark.format_report(report))
    return 0 if report.recommended else 1


def run_checks(entry: Any, config: Config) -> Iterator[Check]:
    """Run the checks of one part; an exception is a failed check, not the end of the others."""
    import inspect

    from edge.doctor.check import Check

    try:
        function = entry.load()
        checks: Iterable[Check] = function(config) if inspect.signature(function).parameters else function()
        yield from checks
    except ModuleNotFoundError as error:
        yield Check(
            entry.name, "warn", f"not installed here ({error})", "install it where this machine needs it"
        )
    except Exception as error:
        yield Check(
            entry.name,
            "fail",
            f"the check itself failed: {type(error).__name__}: {error}",
            "report this as a bug",
        )


def _as_warning(check: Check) -> Check:
    """Without a configuration a broker that cannot be reached at the default address is no failure."""
    from edge.doctor.check import Check

    return Check(check.name, "warn", check.detail, check.remedy) if check.state == "fail" else check


def format_check(check: Check) -> str:
    """Format a check as text, with its remedy on a second line."""
    mark = {"ok": " ok ", "warn": "WARN", "fail": "FAIL"}[check.state]
    text = printable(f"[{mark}] {check.name}: {check.detail}")
    return f"{text}\n       -> {printable(check.remedy)}" if check.remedy else text
