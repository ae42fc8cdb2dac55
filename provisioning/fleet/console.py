"""What the commands of `roomtone fleet` print for people, and the checks that they share."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from edge.util.errors import UserError, reason


def print_status(text: str) -> None:
    """Print for people, on standard error; what programs read goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def checked_hosts(hosts: Iterable[str], option: str = "--broker") -> tuple[str, ...]:
    """Return the host names and addresses of an option that can stand in a certificate, each once.

    Raises `UserError`.
    """
    found = tuple(dict.fromkeys(hosts))
    for host in found:
        if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", host):
            port = "--port" if option == "--broker" else "--mqtt-port"
            raise UserError(f"{option} {host!r}: a host name or an address only; the port is {port}")
    return found


def unused_path(path: Path) -> Path:
    """Return the path where nothing exists there yet and its folder does. Raises `UserError`."""
    if path.exists():
        raise UserError(f"{path}: exists already; nothing is overwritten")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: there is no such folder")
    return path


def read_bytes(path: Path) -> bytes:
    """Return the first 64 KiB of a file. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            return file.read(65_536)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from None


def command_as_root() -> str:
    """Return this command line with `sudo` and the full path of `roomtone`, which root's PATH may not have."""
    program = Path(sys.argv[0])
    name = str(program.absolute()) if program.name == "roomtone" else "roomtone"
    return shlex.join(["sudo", name, *sys.argv[1:]])
