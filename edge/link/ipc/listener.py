"""The socket on which the link waits for the ear: made here, or handed over by the service manager.

A socket that we made is removed at the end; one of systemd (`LISTEN_FDS`, `sd_listen_fds(3)`) belongs to it.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from edge.util.errors import UserError, reason

log = logging.getLogger(__name__)

FIRST_PASSED_FD = 3


@dataclass(frozen=True)
class Listener:
    """A listening, non-blocking SOCK_SEQPACKET socket; `made` is its path and inode where we made it."""

    socket: socket.socket
    made: tuple[Path, int] | None

    def close(self) -> None:
        """Close the socket and remove its path, unless another link has put its own there meanwhile."""
        self.socket.close()
        if self.made is None:
            return
        path, inode = self.made
        try:
            if path.lstat().st_ino == inode:
                path.unlink()
        except FileNotFoundError:
            pass


def listen(path: Path) -> Listener:
    """Listen on the socket that systemd has passed, else at the configured path. Raises `UserError`."""
    passed = _passed()
    if passed is not None:
        passed.setblocking(False)
        return Listener(passed, None)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _remove_stale(path)
        # The mode is right from the first moment: no other user can connect between bind and chmod.
        before = os.umask(0o117)
        try:
            channel.bind(str(path))
        finally:
            os.umask(before)
        channel.listen(4)
        channel.setblocking(False)
        return Listener(channel, (path, path.lstat().st_ino))
    except FileNotFoundError:
        channel.close()
        raise UserError(
            f"{path.parent}: no such directory for the socket; make it, or set `runtime.socket`"
        ) from None
    except PermissionError:
        channel.close()
        raise UserError(
            f"{path}: this user may not make a socket there; set `runtime.socket`, or change the owner of {path.parent}"
        ) from None
    except OSError as error:
        channel.close()
        raise UserError(f"{path}: cannot listen there ({reason(error)}); set `runtime.socket`") from None
    except BaseException:
        channel.close()
        raise


def _remove_stale(path: Path) -> None:
    """Remove a socket that no process listens on any more (a link that was killed leaves one behind)."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UserError(f"{path}: exists and is not a socket; remove it, or set `runtime.socket`")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            log.info("[stale_socket] removing the socket of a link that has gone: %s", path)
            path.unlink()
            return
        except OSError:
            # It answers somehow (a full queue, another kind of socket): another process uses it.
            pass
    raise UserError(f"{path}: another program listens there; stop it, or set `runtime.socket`")


def _passed() -> socket.socket | None:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if count != "1":
        raise UserError(
            f"the service manager passes {count or 'no'} sockets; one ListenSequentialPacket= is wanted"
        )
    channel = socket.socket(fileno=FIRST_PASSED_FD)
    os.set_inheritable(FIRST_PASSED_FD, False)
    if channel.family != socket.AF_UNIX or channel.type != socket.SOCK_SEQPACKET:
        raise UserError(
            "the socket from the service manager is of the wrong kind; use ListenSequentialPacket=/path"
        )
    return channel
