"""A request and its response, from threads and on an event loop."""

import asyncio
import threading

import pytest

from edge.mqtt.request import Requests


@pytest.fixture
def sent():
    return []


@pytest.fixture
def requests(sent):
    def publish(topic, payload):
        sent.append((topic, payload))
        return len(sent)

    return Requests(publish)


def test_the_answer_with_its_key_is_the_result(requests, sent):
    one, two = (requests.send("t", b"x", key) for key in (1, 2))
    assert requests.answered(2, "second")
    assert requests.answered(1, "first")
    assert (one.result(0), two.result(0)) == ("first", "second")
    assert sent == [("t", b"x")] * 2


def test_an_answer_that_nobody_waits_for_is_left(requests):
    assert not requests.answered("unknown", 1)
    future = requests.send("t", b"", "k")
    assert requests.answered("k", 1)
    assert not requests.answered("k", 2)
    assert future.result(0) == 1


def test_a_key_can_be_used_again_when_its_request_is_over(requests):
    requests.send("t", b"", "k").cancel()
    assert not requests.answered("k", 1)
    again = requests.send("t", b"", "k")
    with pytest.raises(ValueError, match="under way"):
        requests.send("t", b"", "k")
    requests.answered("k", 2)
    assert again.result(0) == 2


def test_without_a_connection_the_request_fails_at_once():
    requests = Requests(lambda topic, payload: None)
    with pytest.raises(ConnectionError):
        requests.send("t", b"", "k")
    with pytest.raises(ConnectionError):
        requests.send("t", b"", "k")


def test_the_answer_may_come_before_send_returns():
    requests = Requests(lambda topic, payload: requests.answered("k", "quick") or 1)
    assert requests.send("t", b"", "k").result(0) == "quick"


def test_it_is_awaited_on_an_event_loop_and_forgotten_after_a_timeout(requests):
    async def ask(key):
        future = requests.send("t", b"", key)
        threading.Timer(0.02, requests.answered, ("one", "answer")).start()
        async with asyncio.timeout(0.2):
            return await asyncio.wrap_future(future)

    assert asyncio.run(ask("one")) == "answer"
    with pytest.raises(TimeoutError):
        asyncio.run(ask("two"))
    assert not requests.answered("two", "late")
