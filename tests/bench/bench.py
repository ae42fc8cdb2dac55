"""`./run bench`: figures of the ear and of wav2vec2-base, which `tests.bench.options` describes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.util.version import VERSION
from tests.bench import history, machine, pairs
from tests.bench import options as command_line
from tests.bench.ear import classify_figures, ear_figures, event_latency, runtime_folder

# key, what it is, unit, target (None: no target of its own); less is better
TABLE = (
    ("ear_ready_s", "ear: start to ready", "s", 0.5),
    ("ear_rss_mb", "ear: resident memory", "MB", 64),
    ("silence_cpu_share", "ear: CPU share in silence", "", 0.008),
    ("speech_cpu_share", "ear: CPU share in continuous speech", "", None),
    ("classify_s", "classify: 2.8 s of speech, by the clock", "s", 0.35),
    ("classify_cpu_s", "classify: 2.8 s of speech, CPU", "s", None),
    ("base_utterance_cpu_ms", "base: 3 s of speech", "ms", None),
    ("small_utterance_cpu_ms", "small: 3 s of speech", "ms", None),
    ("peer_utterance_cpu_ms", "wav2vec2-base: 3 s of speech", "ms", None),
    ("peer_rss_mb", "wav2vec2-base: resident memory", "MB", None),
    ("event_p50_ms", "end of speech to subscriber, p50", "ms", None),
    ("event_p95_ms", "end of speech to subscriber, p95", "ms", 100),
)
# key, what it is, target: more is better
RATIOS = (
    ("base_times_faster", "base: times faster than wav2vec2-base", 20),
    ("small_times_faster", "small: times faster than wav2vec2-base", 100),
    ("times_smaller", "times smaller than wav2vec2-base", 8),
)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    print(f"\n{result['machine']}\n")
    for key, text, unit, target in TABLE:
        if key not in result:
            continue
        verdict = ""
        if target is not None:
            verdict = f"  target <= {target:g} {unit}: {'met' if result[key] <= target else 'MISSED'}"
        print(f"  {text:<44} {result[key]:10.3f} {unit:<3}{verdict}")
    for key, text, target in RATIOS:
        found = history.value(result, key)
        if found is None:
            continue
        between = ""
        if isinstance(result[key], dict):
            between = f" ({result[key]['least']:.1f} to {result[key]['most']:.1f})"
        print(
            f"  {text:<44} {found:10.1f}{between}  target >= {target}: {'met' if found >= target else 'MISSED'}"
        )
    for part, found in result.get("beside", {}).items():
        if said := machine.disturbed(found):
            print(f"\n  While `{part}` was measured, {said}: its times by the clock are too long.")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures that the options ask for."""
    machine.as_installed()
    result: dict[str, Any] = {"machine": machine.name(), "version": VERSION, "beside": {}}
    python = None if options.no_peer else pairs.environment()
    with runtime_folder() as folder:
        parts: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
            "ear": (
                "start, memory and CPU share of the ear",
                lambda: ear_figures(folder, options.seconds) | classify_figures(folder),
            ),
            "utterance": (
                "3 s of speech" + ("" if python is None else ", and wav2vec2-base in turn"),
                lambda: pairs.run(folder, options.rounds, python, lambda text: say(f"  {text}")),
            ),
            "event": (
                f"end of speech to event, {options.events} events in real time",
                lambda: event_latency(folder, options.events),
            ),
        }
        for name in options.only or parts:
            text, part = parts[name]
            say(text)
            others = machine.Others()
            result |= part()
            result["beside"][name] = others.found()
    return rounded(result)


def figures_in(file: Path) -> dict[str, Any]:
    """The object that `--json` printed into a file. Raises `history.HistoryError` for any other file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise history.HistoryError(f"{file} cannot be read: {error}") from None
    if not isinstance(found, dict) or not {"machine", "version"} <= found.keys():
        raise history.HistoryError(f"{file} does not hold figures: make it with ./run bench --json > {file}")
    return found


def merged(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of parts that were measured one after the other, with those that need two of them."""
    result: dict[str, Any] = {}
    for one in figures:
        result |= one | {"beside": result.get("beside", {}) | one.get("beside", {})}
    for kind in ("silence", "speech"):
        if {f"{kind}_cpu_share", "reference_ms"} <= result.keys():
            result[f"{kind}_per_reference"] = 1000 * result[f"{kind}_cpu_share"] / result["reference_ms"]
    if {"peer_rss_mb", "ear_rss_mb"} <= result.keys():
        result["times_smaller"] = result["peer_rss_mb"] / result["ear_rss_mb"]
    return dict(rounded(result))


def rounded(found: Any) -> Any:
    """The same with numbers of four significant digits."""
    if isinstance(found, dict):
        return {key: rounded(one) for key, one in found.items()}
    return float(f"{found:.4g}") if isinstance(found, float) else found


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, keep, compare."""
    options = command_line.ear().parse_args(arguments)
    try:
        figures = [figures_in(file) for file in options.figures or ()] or [measure(options)]
    except history.HistoryError as error:
        say(f"./run bench: {error}")
        return 2
    result = merged(figures)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    try:
        status = compare(result) if options.check else 0
        if options.record:
            from tests.bench.plot import draw

            say(f"kept in {history.record(result, result['version'])}, drawn in {draw()}")
    except history.HistoryError as error:
        say(f"./run bench: {error}")
        return 2
    return status


def compare(result: dict[str, Any]) -> int:
    """Say what got worse since the last version; the exit status."""
    version, lines = history.check(result)
    before = dict(history.versions())[version].get("machine")
    if before != result.get("machine"):
        say(f"{version} was measured on another machine: {before}; with VNNI on one alone, ratios differ")
    for line in lines:
        say(f"worse than {version}: {line}")
    if not lines:
        say(f"nothing got more than {history.TOLERANCE:.0%} worse than in {version}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
