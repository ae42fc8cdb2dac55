"""A broker that answers SUBSCRIBE late: messages wait for the answer, so that it is clear what ended a connection."""

import contextlib
import select
import socket
import threading
import time

import pytest

from edge.mqtt.events import State
from edge.mqtt.session import Subscription
from tests.support.broker import Broker
from tests.support.waiting import until

ALL = Subscription("t/#")


class SlowAnswers:
    """A relay before a broker: what follows the broker's first answer comes late, and is lost where it has closed."""

    def __init__(self, broker, delay_s):
        self._upstream = (broker.host, broker.port)
        self._delay_s = delay_s
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._server.getsockname()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                device, _ = self._server.accept()
                self.connections += 1
                broker = socket.create_connection(self._upstream)
                threading.Thread(target=self._forward, args=(device, broker), daemon=True).start()
                threading.Thread(target=self._answer, args=(broker, device), daemon=True).start()

    @staticmethod
    def _forward(device, broker):
        with contextlib.suppress(OSError):
            while data := device.recv(65_536):
                broker.sendall(data)
            broker.shutdown(socket.SHUT_WR)

    def _answer(self, broker, device):
        with broker, device:
            with contextlib.suppress(OSError):
                device.sendall(broker.recv(65_536))
                while data := broker.recv(65_536):
                    time.sleep(self._delay_s)
                    if select.select([broker], [], [], 0)[0] and not broker.recv(1, socket.MSG_PEEK):
                        break
                    device.sendall(data)
            with contextlib.suppress(OSError):
                device.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("optional", [(), (Subscription("more/#"),)])
def test_a_message_that_is_too_large_is_told_from_a_subscription(tmp_path, connect, optional):
    with (
        Broker("allow_anonymous true\nmax_packet_size 1500", folder=tmp_path) as broker,
        SlowAnswers(broker, 0.3) as relay,
    ):
        # At once, as the device does, which does not wait for its subscriptions.
        large = ("t/large", bytes(5000))
        one = connect(relay, "one", ALL, wait=False, publishes=large, version="3.1.1", optional=optional)
        until(lambda: "packet_too_large" in one.losses, 30)
        assert one.losses == ["connection_closed", "packet_too_large"]
        assert one.client.wait_for(State.READY, 20)
        assert relay.connections == 3
        publisher = connect(broker, "publisher")
        if optional:
            until(
                lambda: publisher.client.publish_and_wait("more/x", b"more") == 0 and b"more" in one.payloads
            )


def test_a_broker_that_never_answers_a_subscription_gets_the_messages(broker, connect):
    subscriber = connect(broker, "subscriber", ALL)
    with SlowAnswers(broker, 60) as relay:
        connect(relay, "one", Subscription("u/#"), wait=False, publishes=("t/x", b"x"), version="3.1.1")
        until(lambda: subscriber.payloads == [b"x"], 20)
        assert relay.connections == 1
