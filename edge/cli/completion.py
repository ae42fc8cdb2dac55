"""`roomtone completion` and `roomtone manual`: a completion script and manual pages, made from the parser itself."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError, reason
from edge.util.version import VERSION

EPILOG: Final = """examples:
  eval "$(roomtone completion bash)"                         in this shell
  roomtone completion bash > ~/.local/share/bash-completion/completions/roomtone     for good
  roomtone manual --to ~/.local/share/man/man1 && man roomtone-demo
"""

Parsers = dict[tuple[str, ...], argparse.ArgumentParser]


def register(subparsers: Any) -> None:
    """Add `completion` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "completion",
        help="print a completion script for a shell",
        description="Prints a script with which the shell completes commands and options of roomtone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=["bash", "zsh"], help="zsh: through its bashcompinit")
    parser.set_defaults(run=_print_completion)


def register_manual(subparsers: Any) -> None:
    """Add `manual` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "manual",
        help="write manual pages of all commands",
        description="Writes a manual page (man, section 1) for roomtone and each of its commands.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="made where it is missing")
    parser.set_defaults(run=_write_manual)


def parsers(top: argparse.ArgumentParser) -> Parsers:
    """Return every parser by the words that lead to it: `()` is `top`, `("fleet", "init")` one of a sub-command."""
    found: Parsers = {(): top}
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                found |= {(name, *words): below for words, below in parsers(parser).items()}
    return found


def bash_script(found: Parsers) -> str:
    """Return the completion script for bash (and zsh's bashcompinit)."""
    cases = []
    for words, parser in sorted(found.items()):
        offered = " ".join(sorted(_offered(parser)))
        cases.append(f"    {shlex.quote(' '.join(words))}) offered={shlex.quote(offered)} ;;")
    return _BASH.replace("@CASES@", "\n".join(cases))


def _offered(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if not action.option_strings and action.choices is not None:
            yield from map(str, action.choices)


_BASH: Final = """# Completion of roomtone, made by `roomtone completion bash`.
_roomtone() {
  local word=${COMP_WORDS[COMP_CWORD]} path= offered= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in -*) break ;; esac
    path+="${path:+ }${COMP_WORDS[i]}"
  done
  # Arguments that are no commands belong to the longest command before them.
  while :; do
    case $path in
@CASES@
    esac
    [ -z "$offered" ] && [ -n "$path" ] || break
    case $path in *' '*) path=${path% *} ;; *) path= ;; esac
  done
  mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$word")
  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
complete -o filenames -F _roomtone roomtone
"""


def _print_completion(options: argparse.Namespace) -> int:
    if options.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(bash_script(_installed()), end="")
    return 0


def _write_manual(options: argparse.Namespace) -> int:
    found = _installed()
    try:
        options.to.mkdir(parents=True, exist_ok=True)
        for words, parser in found.items():
            if len(words) < 2:
                below = [
                    inner for path, inner in found.items() if len(path) == 2 and path[:1] == words and words
                ]
                name = "-".join(("roomtone", *words))
                (options.to / f"{name}.1").write_text(manual_page(name, parser, below), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or options.to}: {reason(error)}") from None
    print(f"manual pages are in {options.to}", file=sys.stderr)
    return 0


def _installed() -> Parsers:
    from edge.cli.main import create_parser

    return parsers(create_parser())


def manual_page(name: str, parser: argparse.ArgumentParser, below: list[argparse.ArgumentParser]) -> str:
    """Return a page in man(7)'s format: the parser's help, and that of the commands `below` it."""
    summary = re.sub(r"\s+", " ", parser.description or name).strip()
    parts = [
        f'.TH {name.upper()} 1 "" "roomtone {VERSION}" "User Commands"',
        ".SH NAME",
        _escaped(f"{name} - {summary.partition('. ')[0]}"),
        ".SH SYNOPSIS",
        _verbatim(parser.format_usage()),
        ".SH DESCRIPTION",
        _verbatim(parser.format_help().partition("\n\n")[2]),
    ]
    for command in below:
        parts += [f".SH {_escaped(command.prog.upper())}", _verbatim(command.format_help())]
    return "\n".join(parts) + "\n"


def _verbatim(text: str) -> str:
    return f".nf\n{_escaped(text.rstrip())}\n.fi"


def _escaped(text: str) -> str:
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    # A line that begins with a dot or an apostrophe would be a request of troff.
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)
