import pytest

from dashboard.live.registry import Room
from dashboard.live.state_requests import INTERVAL_S, PER_CALL, WAIT_S, StateRequests
from edge.protocol import Info

START = 1_770_000_000.0
INFO = Info(node="a", name="A", version="1")


@pytest.fixture
def requests():
    made = StateRequests()
    made.due({}, START)
    return made


def test_the_broker_may_send_the_state_first(requests):
    rooms = {"a": Room("a")}
    assert requests.due(rooms, START + WAIT_S - 1) == []
    rooms["a"].availability, rooms["a"].info = "online", INFO
    assert requests.due(rooms, START + WAIT_S) == []


def test_a_device_that_is_heard_is_asked_until_it_has_announced_itself(requests):
    room = Room("a", seen=START)
    rooms = {"a": room}
    assert requests.due(rooms, START + 10) == ["a"]
    room.seen = START + 11
    assert requests.due(rooms, START + 12) == []
    assert requests.due(rooms, START + 10 + INTERVAL_S) == ["a"]
    room.availability, room.seen = "online", START + 150
    assert requests.due(rooms, START + 150) == ["a"]
    room.info, room.seen = INFO, START + 300
    assert requests.due(rooms, START + 999) == []


def test_a_room_that_is_only_recorded_is_asked_once_in_each_connection(requests):
    rooms = {"a": Room("a", recorded=True)}
    assert requests.due(rooms, START + 10) == ["a"]
    assert requests.due(rooms, START + 10_000) == []
    requests.reset()
    assert requests.due(rooms, START + 10_001) == []
    assert requests.due(rooms, START + 10_001 + WAIT_S) == ["a"]


def test_ten_thousand_devices_are_asked_in_turn(requests):
    rooms = {f"r{number}": Room(f"r{number}") for number in range(3 * PER_CALL)}
    asked = [requests.due(rooms, START + 10 + second) for second in range(4)]
    assert [len(nodes) for nodes in asked] == [PER_CALL, PER_CALL, PER_CALL, 0]
    assert {node for nodes in asked for node in nodes} == set(rooms)
