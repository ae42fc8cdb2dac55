"""The event is the link's: what the ear says moves within whole steps, and fits into the time that has passed."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.link.delivery.canonical import BLOCK_S, EventBuilder, Timeline
from edge.link.state.numbering import EventNumber
from edge.link.state.throttle import Throttle
from edge.protocol import LABELS, Event, UtteranceValues, decode_event, encode
from tests.support.messages import values

NOW = 1_800_000_000.0
NUMBER = EventNumber("01JD0000000000000000000000", "7f3a9c01", 7, repeated=False)


class World:
    """A clock that a test moves; blocks are those of the ear."""

    def __init__(self, speed: float = 1.0) -> None:
        self.steady = 1000.0
        self.timeline = Timeline(speed, lambda: self.steady)
        self.builder = EventBuilder(self.timeline, lambda: NOW + self.steady)

    def event(self, ago_s: float, length_s: float, **changes: object) -> Event:
        started = int((self.steady - ago_s) / BLOCK_S)
        one = values(started=started, length=int(length_s / BLOCK_S), **changes)
        return self.builder.build(NUMBER, one, "base-1.2.0")


def began(event: Event) -> float:
    """Seconds of the steady clock."""
    return datetime.fromisoformat(event.started_at).timestamp() - NOW


def test_time_and_length_of_an_honest_ear_are_kept() -> None:
    event = World().event(ago_s=3.0, length_s=2.0)
    assert began(event) == pytest.approx(997.0, abs=0.05)
    assert event.duration_ms == pytest.approx(2000, abs=32)


def test_what_lies_ahead_begins_now() -> None:
    event = World().event(ago_s=-500.0, length_s=2.0)
    assert (began(event), event.duration_ms) == (1000.0, 0)


def test_no_two_utterances_overlap() -> None:
    world = World()
    world.event(ago_s=5.0, length_s=4.0)
    second = world.event(ago_s=5.0, length_s=4.0)
    assert began(second) == pytest.approx(999.0, abs=0.05)
    assert second.duration_ms <= 1000 + 32


def test_lengths_cannot_say_more_than_time_has_passed() -> None:
    world = World()
    total = 0
    for _ in range(100):
        world.steady += 0.5
        total += world.event(ago_s=900.0, length_s=60.0).duration_ms
    assert total <= (1000 + 50) * 1000


def test_a_fast_playback_fits_more_sound_into_a_second() -> None:
    assert World(speed=8).event(ago_s=1.0, length_s=6.0).duration_ms == pytest.approx(6000, abs=64)


@st.composite
def any_values(draw: st.DrawFn) -> UtteranceValues:
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=6, max_size=6)))
    shares = tuple(b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True))
    return UtteranceValues(
        event_type=draw(st.sampled_from([*LABELS, "uncertain"])),  # type: ignore[arg-type]
        shares=shares,  # type: ignore[arg-type]
        arousal=draw(st.none() | st.integers(-20, 20)),
        started=draw(st.integers(0, 2**53 - 1)),
        length=draw(st.integers(0, 1875)),
        snr_db=draw(st.integers(-20, 100)),
        level_dbfs=draw(st.integers(-100, 0)),
        latency=draw(st.integers(0, 255)),
    )


@given(any_values())
def test_nothing_else_of_an_utterance_reaches_the_event(said: UtteranceValues) -> None:
    """The event is a function of the counted values and of the link: what is read out of it is what was counted."""
    world = World()
    event = world.builder.build(NUMBER, said, "base-1.2.0")
    assert decode_event(encode(event)) == event
    read = UtteranceValues(
        event_type=event.event_type,
        shares=tuple(round(100 * share) for share in msgspec.structs.astuple(event.probabilities)),  # type: ignore[arg-type]
        arousal=None if event.arousal is msgspec.UNSET else round(20 * event.arousal),
        started=said.started,
        length=said.length,
        snr_db=int(event.snr_db),
        level_dbfs=int(event.level_dbfs),
        latency=event.latency_ms // 10,
    )
    assert read == said
    again = World().builder.build(NUMBER, read, "base-1.2.0")
    assert encode(again) == encode(event)
    blocks = round(world.steady / BLOCK_S)
    assert 0 <= event.duration_ms // 32 <= blocks
    assert 0.0 <= began(event) <= world.steady


def test_a_state_that_changes_too_fast_comes_late_and_its_last_value_always() -> None:
    async def scenario() -> list[int]:
        delivered: list[int] = []
        throttle = Throttle(delivered.append, rate=5.0, burst=3, loop=asyncio.get_running_loop())
        for value in range(100):
            throttle.set(value)
        await asyncio.sleep(0.6)
        return delivered

    assert asyncio.run(scenario()) == [0, 1, 2, 99]
