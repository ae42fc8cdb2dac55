import pytest

from edge.ear.uplink.unacknowledged import UnacknowledgedEvents
from edge.protocol import Event, decode_ear_message
from tests.support.messages import event


def send_all(outbox: UnacknowledgedEvents) -> list[int]:
    seqs = []
    while (unsent := outbox.next_unsent()) is not None:
        message = decode_ear_message(unsent[1])
        seqs.append(message.event.seq)  # type: ignore[union-attr]
        outbox.mark_sent(unsent[0])
    return seqs


def test_events_are_sent_once_in_order_and_kept_until_acknowledged() -> None:
    outbox, events = UnacknowledgedEvents(), [event(n) for n in (1, 2, 3)]
    for e in events:
        outbox.add(e)
    assert send_all(outbox) == [1, 2, 3]
    assert send_all(outbox) == []
    outbox.acknowledge(events[1].id)
    assert len(outbox) == 2


def test_a_new_connection_gets_what_was_not_acknowledged() -> None:
    outbox, events = UnacknowledgedEvents(), [event(n) for n in (1, 2, 3)]
    for e in events:
        outbox.add(e)
    send_all(outbox)
    outbox.acknowledge(events[0].id)
    outbox.on_reconnect()
    assert send_all(outbox) == [2, 3]


def test_a_full_outbox_drops_the_oldest_and_counts() -> None:
    outbox = UnacknowledgedEvents(capacity=3)
    for n in range(1, 6):
        outbox.add(event(n))
        send_all(outbox)
    outbox.on_reconnect()
    assert send_all(outbox) == [3, 4, 5]
    assert outbox.dropped == 2


def test_an_acknowledgement_that_comes_twice_does_no_harm() -> None:
    outbox, only = UnacknowledgedEvents(), event(1)
    outbox.add(only)
    outbox.acknowledge(only.id)
    outbox.acknowledge(only.id)
    outbox.mark_sent(only.id)  # sent, acknowledged and only then noted as sent
    outbox.add(event(2))
    assert send_all(outbox) == [2]


def test_an_event_beyond_the_limit_is_refused() -> None:
    huge = event(1)
    with pytest.raises(ValueError, match="at most 1024"):
        UnacknowledgedEvents().add(
            Event(**{f: getattr(huge, f) for f in huge.__struct_fields__ if f != "model"}, model="m" * 1024)
        )
