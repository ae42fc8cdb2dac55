"""Asks for a password at the terminal."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Final

from edge.util.errors import UserError

TERMINAL: Final = Path("/dev/tty")


def ask_password(prompt: str, without_terminal: str) -> str:
    """Ask without showing what is typed.

    Raises `UserError` with `without_terminal`, which names the option to use, where there is no terminal or it is
    closed (Ctrl-D).
    """
    if not (sys.stdin.isatty() or _has_terminal()):
        raise UserError(without_terminal)
    try:
        return getpass.getpass(prompt)
    except EOFError:
        print(file=sys.stderr)
        raise UserError(without_terminal) from None


def _has_terminal() -> bool:
    # The file is there in a process without a terminal, too, and cannot be opened then.
    try:
        TERMINAL.open("rb").close()
    except OSError:
        return False
    return True
