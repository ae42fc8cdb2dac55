"""paho's threads wake each other without the network.

By itself paho-mqtt makes a TCP connection to 127.0.0.1 for that, where `IPAddressAllow=` of the link's unit lets nobody
go, and waits for it in an `accept` without a limit (docs/decisions/0016).
"""

from __future__ import annotations

import socket

import paho.mqtt.client as paho


def _pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    return pair


def by_unix_socket() -> None:
    """For every client of this process that is started from now on."""
    paho._socketpair_compat = _pair
