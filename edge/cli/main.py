"""`roomtone`: the command line; each installed part adds its commands through entry points.

A command is a function that is given the sub-parsers of `argparse`; it adds its parser and sets `run`, a function of
the parsed arguments that returns the exit status. A `UserError` is an error that the user can correct: it is printed as
one line on standard error, with the exit status that it carries (2).
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from edge.cli.examples import add_examples
from edge.util.entry_points import EntryPoint, entry_points
from edge.util.errors import UserError, reason
from edge.util.loading.garbage import without_garbage_collection
from edge.util.text.terminal import prepare_output, printable
from edge.util.version import VERSION

OF_DEVICE: Final = ("classify", "ear", "link", "mute", "unmute")
"""Commands that start without asking for what is installed: that alone takes as long as the interpreter's start."""
EPILOG = """examples:
  roomtone classify speech.wav            classify the emotion of a recording
  roomtone doctor                         check the installation
  roomtone COMMAND --help                 options and examples of a command
"""

REMEDIES: Final = {
    errno.EACCES: "run this as the user that owns it, or name another path",
    errno.EPERM: "run this as the user that owns it, or name another path",
    errno.EROFS: "name a path on a disk that can be written",
    errno.EDQUOT: "free some space, or name another path",
    errno.EMFILE: "allow more open files (ulimit -n)",
}
"""What to do about an error of the system that no command has expected."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """As in the base class; what the user gave is shown without control characters.

        Where a command is given without the verb that it needs, its help is shown: which verbs there are.
        """
        verbs = self._verbs()
        if verbs is not None and message.endswith(f"required: {verbs.metavar or verbs.dest}"):
            self.print_help(sys.stderr)
            self.exit(UserError.status)
        super().error(printable(message))

    def _verbs(self) -> argparse._SubParsersAction[Any] | None:
        return next((one for one in self._actions if isinstance(one, argparse._SubParsersAction)), None)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in the base class; an unknown option is refused by the command that it was given to, with its usage."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._asked(sys.argv[1:] if args is None else args).error(
                f"unrecognized arguments: {' '.join(unknown)}"
            )
        return options

    def _asked(self, given: Sequence[str]) -> _Parser:
        """Return the parser of the command, or of its verb, that these arguments name."""
        found = self
        for word in given:
            verbs = found._verbs()
            if verbs is not None and word in verbs.choices:
                found = verbs.choices[word]
        return found


def create_parser(only: str | None = None, *, summary: bool = False) -> argparse.ArgumentParser:
    """Create the command line with all installed commands; a command whose libraries are missing is left out.

    `only` loads a single command: the ear starts without the libraries of the link and the dashboard. With `summary`
    the commands have a name and a line of help, but no options: enough for `roomtone --help`.
    Raises `UserError` where that one belongs to a part that is not installed.
    """
    top = _Parser(
        prog="roomtone",
        description="Detects speech in a room and classifies its emotion on the device; no sound leaves it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"roomtone {VERSION}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    if only in OF_DEVICE:
        importlib.import_module(f"edge.cli.{only}").register(commands)
    else:
        _register_installed(commands, only, summary)
    if not summary:
        add_examples(top)
    return top


def _register_installed(commands: Any, only: str | None, summary: bool) -> None:
    """Add the command `only`, or where there is no such command, all. Raises `UserError` as `create_parser`."""
    installed = entry_points("roomtone.commands")
    asked = [entry for entry in installed if entry.name == only]
    for entry in asked or installed:
        register = _load(entry)
        if register is not None:
            _register(register, commands, summary)
        elif asked:
            raise UserError(
                f"`{only}` is not part of this installation; a checkout has it: ./run setup, then . .venv/bin/activate"
            )


class _NamedError(Exception):
    """The name and the help of a command are known."""


class _Summary:
    """In place of the sub-parsers: ends the registration of a command before its options load their libraries."""

    def __init__(self, commands: Any) -> None:
        self._commands = commands

    def add_parser(self, name: str, **options: Any) -> Any:
        """Add the command without options."""
        self._commands.add_parser(name, help=options.get("help"))
        raise _NamedError


def _register(register: Callable[[Any], None], commands: Any, summary: bool) -> None:
    try:
        register(_Summary(commands) if summary else commands)
    except _NamedError:
        return


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        # The entry points name every part of the distribution; a device has the libraries of its own parts only.
        if os.environ.get("ROOMTONE_DEBUG"):
            print(f"roomtone: `{entry.name}` is not available: {error}", file=sys.stderr)
        return None


def _refused_by_the_system(error: OSError) -> int:
    """Print what no command has expected: a full disk, or a path that cannot be used. Anything else is raised again."""
    if error.errno == errno.ENOSPC:
        print(
            "roomtone: no space left on the output's file system; free some and run it again", file=sys.stderr
        )
        # What is still buffered cannot be written either; without this Python would report that at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UserError.status
    if error.filename is None or os.environ.get("ROOMTONE_DEBUG"):
        raise error
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    remedy = REMEDIES.get(error.errno or 0, "check the path")
    print(f"roomtone: {printable(path)}: {reason(error)}; {remedy}", file=sys.stderr)
    return UserError.status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status, that of a `UserError` (2) and 130 for Ctrl-C."""
    prepare_output()
    given = sys.argv[1:] if arguments is None else arguments
    first = given[0] if given else None
    try:
        summary = first in (None, "-h", "--help", "--version")
        with without_garbage_collection():
            parser = create_parser(only=first, summary=summary)
            if not given:
                parser.print_help(sys.stderr)
                return UserError.status
            options = parser.parse_args(given)
        status: int = options.run(options)
    except UserError as error:
        print(f"roomtone: {printable(str(error))}", file=sys.stderr)
        return error.status
    except UnicodeEncodeError as error:
        if error.reason != "surrogates not allowed":
            raise
        name = printable(error.object[max(0, error.start - 40) : error.end + 40])
        print(f"roomtone: {name}: a name that is not text in UTF-8; rename it", file=sys.stderr)
        return UserError.status
    except BrokenPipeError:
        # The reader (`| head`) has ended; without this Python would report the error again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        status = _refused_by_the_system(error)
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
