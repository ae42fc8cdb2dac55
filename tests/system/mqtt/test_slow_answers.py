"""A broker that answers SUBSCRIBE late: messages wait for the answer, so that it is clear what ended a connection."""

import select
import socket
import time

import pytest

from edge.mqtt.events import State
from edge.mqtt.session import Subscription
from tests.support.broker import Broker
from tests.support.relay import Relay
from tests.support.waiting import until

ALL = Subscription("t/#")


class SlowAnswers(Relay):
    """What follows the broker's first answer comes late, and is lost where the broker has closed."""

    def __init__(self, broker, delay_s):
        super().__init__(broker)
        self._delay_s = delay_s

    def answer(self, data, number, broker):
        if not number:
            return True
        time.sleep(self._delay_s)
        return not select.select([broker], [], [], 0)[0] or bool(broker.recv(1, socket.MSG_PEEK))


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
