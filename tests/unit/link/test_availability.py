"""The device's own availability is put right, and never in a loop."""

import pytest

from edge.link.availability import BURST, OwnAvailability


class World:
    def __init__(self):
        self.now = 0.0
        self.online = True
        self.published = 0
        self.own = OwnAvailability("t", self.publish, lambda: self.online, lambda: self.now)
        self.own.handle(b"online")

    def publish(self):
        self.published += 1


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("payload", [b"offline", b"", b"\xff", b"ONLINE"])
def test_what_another_client_says_is_corrected(world, payload):
    world.own.handle(payload)
    assert world.published == 1


def test_our_own_message_is_left(world):
    world.own.handle(b"online")
    assert world.published == 0


def test_what_was_said_before_we_connected_is_left(world):
    world.own.connected()
    world.own.handle(b"offline")
    assert world.published == 0
    world.own.handle(b"online")
    world.own.handle(b"offline")
    assert world.published == 1


def test_while_we_go_offline_it_is_left(world):
    world.online = False
    world.own.handle(b"offline")
    assert world.published == 0


def test_two_that_contradict_each_other_do_not_flood_the_broker(world):
    for _ in range(100):
        world.own.handle(b"offline")
    assert world.published == BURST
    world.now += 60
    world.own.handle(b"offline")
    assert world.published == BURST + 1
