import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.live.decode import MAX_BYTES, decode
from dashboard.live.level_requests import LevelRequests
from dashboard.live.registry import Room
from edge.protocol import ContractError, Info, Level, encode
from tests.support.messages import event_of


def test_every_kind_of_message_is_read_below_a_base_of_several_levels():
    message = event_of("happy", 1_770_000_000)
    assert decode("home/tone", "home/tone/kitchen/event", encode(message)).message == message
    assert decode("home/tone", "home/tone/kitchen/mic", b"muted") == ("kitchen", "mic", "muted")
    assert decode("home/tone", "home/tone/kitchen/availability", b"online").message == "online"
    assert decode("home/tone", "home/tone/kitchen/availability", b"").message is None
    info = Info(node="kitchen", name="Kitchen", version="1")
    assert decode("home/tone", "home/tone/kitchen/info", encode(info)).message == info
    level = Level(dbfs=-31.5, speech=True)
    assert decode("home/tone", "home/tone/kitchen/level", encode(level)).message == level


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("roomtone/kitchen/mic", b"fine"),
        ("roomtone/kitchen/mic", b"\xff\xfe"),
        ("roomtone/kitchen/event", b"{}"),
        ("roomtone/kitchen/event", b"[" * 10_000),
        ("roomtone/kitchen/level", b'{"dbfs": NaN, "speech": true}'),
        ("roomtone/kitchen/level", b'{"dbfs": -10, "speech": true, "more": 1}'),
        ("roomtone/Kitchen/mic", b"ok"),
        ("roomtone/a/b/mic", b"ok"),
        ("roomtone/kitchen/unheard-of", b"ok"),
        ("roomtones/kitchen/mic", b"ok"),
        ("other/kitchen/mic", b"ok"),
        ("roomtone/kitchen/mic", b"ok" + b" " * MAX_BYTES),
        ("mic", b"ok"),
        ("roomtone/kitchen/info", b'{"node": "hall", "name": "Hall", "version": "1"}'),
    ],
)
def test_what_breaks_the_contract_is_refused(topic, payload):
    with pytest.raises(ContractError):
        decode("roomtone", topic, payload)


@given(
    st.sampled_from(["event", "state", "level", "health", "info", "mic", "availability", "x"]),
    st.binary(max_size=200),
)
def test_no_bytes_raise_anything_but_a_contract_error(leaf, payload):
    with contextlib.suppress(ContractError):
        decode("roomtone", f"roomtone/kitchen/{leaf}", payload)


def test_rooms_are_asked_for_their_level_in_time_and_again_when_they_were_away():
    requests = LevelRequests(interval_s=50)
    room = Room("kitchen", availability="online")
    assert requests.due([room], 1000.0) == ["kitchen"]
    assert requests.due([room], 1049.0) == []
    assert requests.due([room], 1050.0) == ["kitchen"]
    room.availability = "offline"
    assert requests.due([room], 1051.0) == []
    room.availability = "online"
    assert requests.due([room], 1052.0) == ["kitchen"]


@pytest.mark.parametrize("leaf", ["info", "mic", "muted_by", "model", "state"])
def test_a_retained_topic_that_is_cleared_is_no_broken_message(leaf):
    assert decode("roomtone", f"roomtone/kitchen/{leaf}", b"") is None


@pytest.mark.parametrize("leaf", ["event", "level", "health", "x"])
def test_an_empty_message_where_nothing_is_retained_is_refused(leaf):
    with pytest.raises(ContractError):
        decode("roomtone", f"roomtone/kitchen/{leaf}", b"")
