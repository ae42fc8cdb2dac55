"""TCP ports of this machine's loopback address, and programs that Debian keeps out of an ordinary user's PATH."""

from __future__ import annotations

import errno
import shutil
import socket

from edge.util.errors import UserError

_SBIN = "/usr/sbin:/usr/local/sbin"


def free_port(preferred: int) -> int:
    """Return `preferred` if nothing listens there on 127.0.0.1, else a port that the kernel chooses.

    Raises `UserError` when there is none.
    """
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError("no free port on 127.0.0.1")


def bind_error(port: int, address: str = "127.0.0.1") -> int:
    """Return 0 where this user can listen at this port of an address of this machine, else the `errno` of why not."""
    with socket.socket() as probe:
        # What an earlier listener has closed is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return 0


def accepts_connections(port: int) -> bool:
    """Return whether something accepts TCP connections at this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return True
    except OSError:
        return False


def find_server(name: str) -> str | None:
    """Return the path of a server program, also where it is in /usr/sbin alone; None: not installed."""
    return shutil.which(name) or shutil.which(name, path=_SBIN)
