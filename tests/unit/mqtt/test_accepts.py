"""Does a broker accept connections? What stands before one that is gone closes them at once."""

from __future__ import annotations

import socket
import threading

from edge.mqtt import tls
from edge.mqtt.address import BrokerAddress


def accepts(server: socket.socket) -> bool:
    return tls.accepts(BrokerAddress(*server.getsockname()))


def test_one_that_waits_for_us_accepts():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert accepts(server)


def test_a_port_on_which_nothing_listens_does_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = BrokerAddress(*server.getsockname())
    assert not tls.accepts(address)


def test_a_proxy_that_closes_at_once_does_not():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close():
            server.accept()[0].close()

        threading.Thread(target=close, daemon=True).start()
        assert not accepts(server)
