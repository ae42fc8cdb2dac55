"""Every `--help` has examples: a sub-command that has none of its own gets those of it that its parent has."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

_HEAD = "examples:"


def add_examples(parser: argparse.ArgumentParser, known: Sequence[str] = ()) -> None:
    """Add to this parser and those below it the lines of `known`, and of the parents' own examples, that run it."""
    own = list(_lines(parser.epilog or ""))
    if not own:
        own = [line for line in known if _runs(line, parser.prog)]
        if own:
            parser.formatter_class = argparse.RawDescriptionHelpFormatter
            parser.epilog = "\n".join([_HEAD, *(f"  {line}" for line in own)])
    for below in _below(parser):
        add_examples(below, [*own, *known])


def _lines(epilog: str) -> Iterator[str]:
    if _HEAD in epilog:
        yield from (line.strip() for line in epilog.partition(_HEAD)[2].splitlines() if "roomtone " in line)


def _runs(line: str, prog: str) -> bool:
    """Whether an example runs this command; options may stand between its words."""
    words = r"(?: --?\S+(?: [^\s-]\S*)?)*? ".join(map(re.escape, prog.split()))
    return re.search(rf"\b{words}(?!\S)", line) is not None


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()
