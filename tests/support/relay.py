"""A TCP relay before a broker, for tests of what a network or a slow broker does to a connection.

class Slow(Relay):
    def answer(self, data, number, broker):
        time.sleep(1)
        return True

with Slow(broker) as relay: ...     # relay.host and relay.port take the place of the broker's
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Protocol, Self


class Place(Protocol):
    """What is before: a `Broker`, or anything else that listens."""

    host: str
    port: int


class Relay:
    """Passes on what a client sends to a broker, and the answers; a subclass decides about both.

    A connection that `request` or `answer` ends is shut down at both ends, and what was read last is lost.
    """

    def __init__(self, broker: Place):
        self._upstream = (broker.host, broker.port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._server.getsockname()
        self.connections = 0
        """Those on which a client has sent anything: to see whether a broker accepts connections sends nothing."""
        threading.Thread(target=self._accept, daemon=True).start()

    def request(self, data: bytes, number: int, client: socket.socket) -> bool:
        """Whether the `number`th part of what a client sends, from 0, is passed on; False ends the connection."""
        return True

    def answer(self, data: bytes, number: int, broker: socket.socket) -> bool:
        """Whether the `number`th part of what the broker answers is passed on; False ends the connection."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._upstream) as broker:
            answers = threading.Thread(target=self._forward, args=(broker, client, self.answer), daemon=True)
            answers.start()
            self._forward(client, broker, self._counted)
            answers.join()

    def _counted(self, data: bytes, number: int, client: socket.socket) -> bool:
        if not number:
            self.connections += 1
        return self.request(data, number, client)

    @staticmethod
    def _forward(
        source: socket.socket, target: socket.socket, passes: Callable[[bytes, int, socket.socket], bool]
    ) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while (data := source.recv(65_536)) and passes(data, number, source):
                target.sendall(data)
                number += 1
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
