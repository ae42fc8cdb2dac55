"""`roomtone`: one command; each installed part adds its sub-commands through entry points.

A sub-command registers itself on the sub-parsers and sets `run`, a function of the parsed arguments that
returns the exit status. `UserError` means: the user can mend this; one line on standard error, status 2.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from edge.util.errors import UserError
from edge.util.version import VERSION

EPILOG = """examples:
  roomtone classify speech.wav            in what tone is this said?
  roomtone doctor                         is this box installed as it should be?
  roomtone COMMAND --help                 the whole truth about one command
"""


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line with all that is installed; a part that cannot be loaded is left out and said.

    `only` loads a single command: the ear starts without what the link and the dashboard need, and without network.
    """
    top = argparse.ArgumentParser(
        prog="roomtone",
        description="Hears in what tone people speak in a room, on the device, and never lets their voice out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"roomtone {VERSION}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    installed = sorted(entry_points(group="roomtone.commands"), key=lambda e: e.name)
    for entry in [e for e in installed if e.name == only] or installed:
        register = _load(entry)
        if register is not None:
            register(commands)
    return top


def _load(entry: Any) -> Any:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        # The entry points name every part of the distribution; a Pi has the libraries of its own parts only.
        if os.environ.get("ROOMTONE_DEBUG"):
            print(f"roomtone: `{entry.name}` is not available: {error}", file=sys.stderr)
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one sub-command; the exit status is 0, what the command says, or 2 for what the user can mend."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(only=given[0] if given else None).parse_args(given)
    try:
        status: int = options.run(options)
    except UserError as error:
        print(f"roomtone: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python would complain once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("roomtone: no space left where the output goes; free some and run it again", file=sys.stderr)
        # What is still buffered cannot be written either, and Python would complain of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
