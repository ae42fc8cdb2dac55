"""Every event is stored or part of a named gap, whoever is killed: broker, recorder, link and ear."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.conftest import SPEECH
from tests.support.broker import Broker
from tests.support.dashboard import Dashboard, Recorder, health
from tests.support.ear import Ear, playback
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.process import RoomtoneProcess, options
from tests.support.waiting import until

AUTOSAVE_S = 2
PERSISTENT = (
    f"allow_anonymous true\npersistence true\npersistence_location {{folder}}/\nautosave_interval {AUTOSAVE_S}\n"
    "autosave_on_changes false\nmax_queued_messages 0"
)
STORM_S = float(os.environ.get("ROOMTONE_STORM_S", "3600"))
"""How long the last test goes on."""
LOST_S = 400.0
"""After three requests of a replay, the last of which is waited for longest, a gap is lost: for each gap."""


def stored(recorder: Recorder) -> set[int]:
    return {row[0] for row in recorder.query("select seq from events")}


def accounted(recorder: Recorder) -> set[int]:
    """The numbers that are stored, and those of recorded gaps."""
    gaps = recorder.query("select from_seq, to_seq from lost")
    return stored(recorder).union(*(range(first, last + 1) for first, last in gaps))


def missing(recorder: Recorder, last: int) -> set[int]:
    """The numbers up to `last` that are neither stored nor in a recorded gap."""
    return set(range(1, last + 1)) - accounted(recorder)


def saved_at(folder):
    """When the broker saved its database last; None: not yet."""
    try:
        return (folder / "mosquitto.db").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def test_a_tail_that_the_broker_forgot_is_noticed_though_nothing_follows_it(tmp_path: Path) -> None:
    """The broker is killed after an autosave, the recorder is away, the ear is restarted: what the attack found."""
    with Broker(PERSISTENT, tmp_path) as broker, LinkProcess(tmp_path, broker.port) as link:
        recorder = Recorder(broker, tmp_path)
        with recorder:
            recorder.wait_connected()
            with EarClient(link.socket) as ear:
                for n in (1, 2, 3):
                    ear.tell(utterance(n))
                until(lambda: stored(recorder) == {1, 2, 3}, 30)
                recorder.kill()
                for n in (4, 5, 6):
                    ear.tell(utterance(n))
                until(lambda: len(ear.acks) == 6, 20)
                saved = saved_at(tmp_path)
                until(lambda: saved_at(tmp_path) != saved, 5 * AUTOSAVE_S, "autosave")
                for n in (7, 8, 9, 10):
                    ear.tell(utterance(n))
                until(lambda: len(ear.acks) == 10, 20)
                broker.kill()
            with EarClient(link.socket, session="00000000000000ff"):
                broker.start()
                recorder.start()
                until(lambda: stored(recorder) == set(range(1, 11)), 90, "all ten")


class Storm:
    """Kills one part after another at random and starts it again."""

    def __init__(self, parts: dict[str, RoomtoneProcess], broker: Broker, rng: random.Random) -> None:
        self._parts = parts
        self._broker = broker
        self._rng = rng
        self.done: list[str] = []

    def strike(self) -> None:
        """One fault; everything runs again afterwards."""
        name = self._rng.choice([*self._parts, "broker", "broker and recorder"])
        self.done.append(name)
        if name in self._parts:
            self._parts[name].kill()
            time.sleep(self._rng.uniform(0, 4))
            self._parts[name].start(wait=False)
            return
        if name != "broker":
            self._parts["recorder"].kill()
        (self._broker.kill if self._rng.random() < 0.7 else self._broker.stop)()
        time.sleep(self._rng.uniform(0, 6))
        self._broker.start()
        if name != "broker":
            self._parts["recorder"].start(wait=False)


def storm(folder: Path, seconds: float, speed: int, seed: int) -> None:
    settings = {**playback(SPEECH, gap_s=0.5, speed=speed), "runtime.socket": folder / "kitchen.sock"}
    with Broker(PERSISTENT, folder) as broker, Subscriber(broker.port, "witness") as witness:
        link = LinkProcess(folder, broker.port, settings=tuple(options(settings)[1::2]))
        recorder = Recorder(broker, folder)
        recorder.start()
        link.start()
        ear = Ear(folder, settings)
        dashboard = Dashboard(
            folder, "--broker", broker.url, "--database", f"sqlite:///{folder / 'events.db'}"
        )
        parts: dict[str, RoomtoneProcess] = {
            "ear": ear, "link": link, "recorder": recorder, "dashboard": dashboard,
        }  # fmt: skip
        faults = Storm(parts, broker, random.Random(seed))
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(faults._rng.uniform(2, 12))
                faults.strike()
            # On a loaded machine an ear that has just been started takes a while to load.
            ear.stop(seconds=120)
            until(lambda: figure(witness) > 0, 90, "the link states its last number")
            until(lambda: figure(witness) in accounted(recorder), 90, "the last one")
            last = figure(witness)
            # One gap after the other, and each may be the one that never comes.
            while left := missing(recorder, last):
                until(lambda: missing(recorder, last) < left, LOST_S, "every event or a named gap")
            events = recorder.query("select seq, count(*) from events group by boot, seq having count(*) > 1")
            assert events == [], "an event was stored twice"
            assert len({row[0] for row in recorder.query("select distinct boot from events")}) == 1
            gaps = accounted(recorder) - stored(recorder)
            print(f"{last} events, {len(gaps)} in named gaps, {len(faults.done)} faults")
            assert len(gaps) <= last / 5, "most events arrive"
            assert health(dashboard.address())["status"] == "ok"
            for part in parts.values():
                assert "Traceback" not in part.log, part.words[0]
        finally:
            for part in parts.values():
                part.kill()


def figure(witness: Subscriber) -> int:
    """The last number that the link has stated; 0: none yet."""
    import json

    text = witness.last("info")
    found = json.loads(text)["last_event"] if text else None
    return int(found["seq"]) if found else 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_event_is_stored_or_in_a_named_gap_through_three_minutes_of_kills_of_all_parts(
    tmp_path: Path,
) -> None:
    storm(tmp_path, seconds=180, speed=4, seed=3)


@pytest.mark.long
@pytest.mark.timeout(STORM_S + 1800)
def test_every_event_is_stored_or_in_a_named_gap_through_an_hour_of_kills_of_all_parts(
    tmp_path: Path,
) -> None:
    storm(tmp_path, seconds=STORM_S, speed=2, seed=4)
