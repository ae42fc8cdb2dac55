"""Everything fails at once, and every event arrives: real ear uplink, real link, real broker, real signals."""

import random
import threading
import time

import pytest

from edge.ear.uplink.client import Uplink
from edge.protocol import LevelSignal
from tests.support.broker import Broker, free_port
from tests.support.link import LinkProcess, Subscriber
from tests.support.messages import EAR_INFO, values
from tests.support.waiting import until
from tests.system.link.test_metrics_and_forget import scrape


class Faults(threading.Thread):
    """Kills, stops and restarts at random moments until `over` is set; what it breaks is whole again at its end."""

    def __init__(self, broker, link, rng, kills, hang_s):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._broker, self._link, self._rng, self._hang_s = broker, link, rng, hang_s
        self._left = kills
        self.done = []

    def run(self):
        plan = ["link"] * self._left + ["broker killed", "broker hangs", "broker restarted"]
        self._rng.shuffle(plan)
        for fault in plan:
            self.over.wait(self._rng.uniform(0.5, 4))
            self.done.append(fault)
            if fault == "link":
                self._link.kill()
                self.over.wait(self._rng.uniform(0, 1))
                self._link.start(wait=False)
            elif fault == "broker hangs":
                self._broker.pause()
                self.over.wait(self._hang_s)
                self._broker.go_on()
            else:
                (self._broker.kill if fault == "broker killed" else self._broker.stop)()
                self.over.wait(self._rng.uniform(0, 5))
                self._broker.start()


def close_gaps(subscriber, count):
    """What a subscriber does that wants everything: asks for what is missing."""
    missing = sorted(set(range(1, count + 1)) - set(subscriber.seqs()))
    if missing:
        asked = subscriber.command(
            "replay", boot=subscriber.events()[0].boot, from_seq=missing[0], to_seq=missing[-1]
        )
        subscriber.answer("replay", asked, 20)
        until(lambda: not set(missing) - set(subscriber.seqs()), 30, f"{missing} by a replay")
    return missing


def storm(tmp_path, count, kills, hang_s, seed):
    rng = random.Random(seed)
    with Broker(folder=tmp_path) as broker, Subscriber(broker.port, "recorder") as recorder:
        metrics = free_port()
        # Three events a second are more than people say, and held back; of a fast playback they are not.
        fast = ("audio.source=playback", f"audio.playback_dir={tmp_path}", "audio.speed=20")
        link = LinkProcess(tmp_path, broker.port, settings=(f"runtime.metrics_port={metrics}", *fast))
        with link:
            ear = Uplink(
                str(link.socket), EAR_INFO, lambda: LevelSignal(dbfs=-30, speech=False), lambda order: None
            )
            ear.start()
            ear.set_mic("ok")
            faults = Faults(broker, link, rng, kills, hang_s)
            faults.start()
            for _ in range(count):
                ear.publish(values())
                time.sleep(rng.uniform(0, 0.6))
            faults.join(hang_s + 120)
            assert not faults.is_alive()
            until(lambda: ear.waiting == 0, 180, f"the ear is rid of all its events ({link.log[-800:]})")
            until(lambda: figures(metrics).get("roomtone_spool_events") == 0, 180, "the spool is empty")
            until(lambda: answers(recorder), 60, "the link takes commands again")
            missing = close_gaps(recorder, count)
            ear.stop()
            assert recorder.seqs() and sorted(recorder.seqs()) == list(range(1, count + 1))
            assert len({(e.boot, e.id) for e in recorder.events()}) == count
            assert (figures(metrics)["roomtone_dropped_events_total"], ear.dropped) == (0, 0)
            assert "Traceback" not in link.log
            doubles = len(recorder.events()) - count
            print(f"{count} events, {faults.done}: {len(missing)} by a replay, {doubles} doubles")
            assert link.stop() == 0


def figures(port):
    """The link's health as it is now; nothing while it starts."""
    try:
        return scrape(port)
    except OSError:
        return {}


def answers(subscriber):
    """Whether the link is connected and obeys."""
    try:
        return subscriber.answer("identify", subscriber.command("identify"), 3).ok
    except AssertionError:
        return False


@pytest.mark.timeout(300)
def test_all_events_arrive_through_a_minute_of_faults(tmp_path):
    storm(tmp_path, count=60, kills=3, hang_s=6, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_five_hundred_events_arrive_through_ten_kills_of_the_link_and_three_faults_of_the_broker(tmp_path):
    storm(tmp_path, count=500, kills=10, hang_s=60, seed=2)
