import msgspec
import pytest

from edge.ear.uplink.unacknowledged import UnacknowledgedUtterances
from edge.protocol import UtteranceReport, decode_ear_message
from tests.support.messages import utterance


def send_all(queue: UnacknowledgedUtterances) -> list[int]:
    sent = []
    while (unsent := queue.next_unsent()) is not None:
        message = decode_ear_message(unsent[1])
        assert isinstance(message, UtteranceReport)
        assert message.n == unsent[0]
        sent.append(message.n)
        queue.mark_sent(unsent[0])
    return sent


def filled(*numbers: int, capacity: int = 1000) -> UnacknowledgedUtterances:
    queue = UnacknowledgedUtterances(capacity)
    for n in numbers:
        queue.add(utterance(n))
    return queue


def test_utterances_are_sent_once_in_order_and_kept_until_acknowledged() -> None:
    queue = filled(1, 2, 3)
    assert send_all(queue) == [1, 2, 3]
    assert send_all(queue) == []
    queue.acknowledge(2)
    assert len(queue) == 2
    assert queue.oldest == 1


def test_a_new_connection_gets_what_was_not_acknowledged() -> None:
    queue = filled(1, 2, 3)
    send_all(queue)
    queue.acknowledge(1)
    queue.on_reconnect()
    assert send_all(queue) == [2, 3]


def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    queue = UnacknowledgedUtterances(capacity=3)
    for n in range(1, 6):
        queue.add(utterance(n))
        send_all(queue)
    queue.on_reconnect()
    assert send_all(queue) == [3, 4, 5]
    assert queue.dropped == 2


def test_an_acknowledgement_that_comes_twice_does_no_harm() -> None:
    queue = filled(1)
    queue.acknowledge(1)
    queue.acknowledge(1)
    queue.mark_sent(1)  # sent, acknowledged and only then noted as sent
    queue.add(utterance(2))
    assert send_all(queue) == [2]
    queue.acknowledge(2)
    assert queue.oldest is None


def test_an_utterance_beyond_the_limit_is_refused() -> None:
    huge = msgspec.structs.replace(utterance(1), n=10**2000)
    with pytest.raises(ValueError, match="are allowed"):
        UnacknowledgedUtterances().add(huge)
