"""A network namespace of its own for a test: loopback alone, so nothing reaches the network."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
SET_UP = (
    "ip link set lo up",
    # Programs that look for others by multicast want an address and a route for that.
    "ip link set lo multicast on",
    "ip address add 10.99.0.1/24 dev lo",
    "ip route add default dev lo",
)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and the threads and processes that it starts, into an empty network. Needs root."""
    libc = ctypes.CDLL(None, use_errno=True)

    def checked(result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked(libc.unshare(CLONE_NEWNET))
        for command in SET_UP:
            subprocess.run(command.split(), check=True)
        yield
    finally:
        checked(libc.setns(before, CLONE_NEWNET))
        os.close(before)
