"""Notifications to the service manager: the protocol of `sd_notify(3)` over the socket in `NOTIFY_SOCKET`.

libsystemd, and so `systemd-python`, blocks when the manager's queue is full; this implementation does not
(docs/decisions/0009-sd-notify-without-libsystemd.md). Without a service manager every call does nothing.
"""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> bool:
    """Send states such as `READY=1` or `STATUS=listening`; returns whether they were delivered.

    Never raises and never blocks: a message is lost when the manager's queue is full.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"} or not states:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(states).encode(), address)
    except OSError:
        return False
    return True


def is_supervised() -> bool:
    """Return whether a service manager has started this process: whether `NOTIFY_SOCKET` is set.

    That it will start it again is true of our units (`Restart=always`); it is not checked.
    """
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_interval_s() -> float | None:
    """Return the interval of `WATCHDOG=1` notifications, half of the limit, in seconds; None without a watchdog."""
    pid = os.environ.get("WATCHDOG_PID", "")
    usec = os.environ.get("WATCHDOG_USEC", "")
    # A child inherits the variables of its parent, but the watchdog is meant for the named process only.
    if not usec.isascii() or not usec.isdigit() or int(usec) == 0 or pid not in {"", str(os.getpid())}:
        return None
    return int(usec) / 2e6
