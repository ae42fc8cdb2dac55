import pytest

from dashboard.recorder.presence import Presence


def test_a_device_is_connected_as_it_says_whatever_comes_first():
    presence = Presence()
    presence.note_availability("kitchen", True)
    presence.note_info("kitchen")
    presence.note_info("hall")
    presence.note_availability("hall", True)
    assert presence.is_online("kitchen")
    assert presence.is_online("hall")
    presence.note_availability("kitchen", False)
    presence.note_event("kitchen")
    assert not presence.is_online("kitchen")


@pytest.mark.parametrize("known", [True, False])
def test_one_that_is_heard_is_connected_and_of_its_info_nothing_follows(known):
    presence = Presence()
    if known:
        presence.note_info("kitchen")
    assert not presence.is_online("kitchen")
    presence.note_event("kitchen")
    assert presence.is_online("kitchen")


def test_names_that_no_device_has_displace_no_device():
    presence = Presence(limit=100)
    for number in range(50):
        presence.note_info(f"room-{number}")
        presence.note_availability(f"room-{number}", True)
    for number in range(10_000):
        presence.note_availability(f"junk-{number}", True)
    assert len(presence) == 150
    assert all(presence.is_online(f"room-{number}") for number in range(50))
    for number in range(10_000):
        presence.note_info(f"forged-{number}")
    assert len(presence) <= 200
