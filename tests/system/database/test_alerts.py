from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from dashboard.alerts.rules import MAX_DELIVERIES, RuleStore
from dashboard.db import retention
from dashboard.db.engine import connect
from dashboard.db.reachability import Reachability
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS, deliveries
from dashboard.recorder.writer import Received, Writer
from tests.support.messages import event_of

NOW = 1_770_000_000_000
RULE = {
    "name": "shouting",
    "node": "",
    "emotion": EMOTIONS.index("angry"),
    "share": 600,
    "minutes": 10,
    "least": 5,
    "webhook": "",
    "created": NOW,
}


@pytest.fixture
def engine(place):
    engine = connect(place)
    migrate(engine)
    yield engine
    engine.dispose()


def hear(engine, emotions, at=NOW, node="kitchen"):
    Writer(engine).write(
        [
            Received(node, event_of(emotion, at / 1000 - n, seq=n + 1), at)
            for n, emotion in enumerate(emotions)
        ]
    )


def test_an_alert_begins_once_lasts_and_ends_below_its_limit(engine):
    rules = RuleStore(engine)
    number = rules.add(RULE)
    hear(engine, ["angry"] * 4)
    assert rules.evaluate(NOW) == []  # Four utterances are too few to say anything.
    hear(engine, ["angry"] * 3 + ["happy"] * 3)
    begun = rules.evaluate(NOW)
    assert [(c.node, c.on, c.value) for c in begun] == [("kitchen", True, 0.7)]
    assert begun[0].message() | {"alert": 0} == {
        "v": 1,
        "alert": 0,
        "rule": number,
        "name": "shouting",
        "node": "kitchen",
        "room": "kitchen",
        "kind": "emotion",
        "emotion": "angry",
        "minutes": 10,
        "limit": 0.6,
        "share": 0.7,
        "value": 0.7,
        "state": "on",
        "since": "2026-02-02T02:40:00.000Z",
    }
    hear(engine, ["sad"] * 3)  # 7 of 13: below the limit, and not yet clearly.
    assert rules.evaluate(NOW + 1000) == []
    hear(engine, ["sad"] * 4)
    assert [(c.on, c.since_ms) for c in rules.evaluate(NOW + 2000)] == [(False, NOW)]
    assert [(row["since"], row["until"]) for row in rules.recent_alerts(10)] == [(NOW, NOW + 2000)]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_of_two_dashboards_one_begins_an_alert(engine):
    """Both look at the same time, again and again."""
    stores = RuleStore(engine), RuleStore(engine)
    for round_number in range(10):
        stores[0].add(RULE | {"name": f"rule {round_number}"})
        hear(engine, ["angry"] * 10, NOW + round_number, node=f"room-{round_number}")
        barrier = threading.Barrier(2)

        def look(store, at=NOW + round_number, barrier=barrier):
            barrier.wait(30)
            return store.evaluate(at)

        with ThreadPoolExecutor(2) as pool:
            changes = [change for found in pool.map(look, stores) for change in found]
        begun = [(change.rule["name"], change.node) for change in changes if change.on]
        assert len(begun) == len(set(begun)) == 2 * round_number + 1


def test_a_rule_is_for_one_room_or_for_each_by_itself_and_silence_ends_it(engine):
    rules = RuleStore(engine)
    rules.add(RULE)
    rules.add(RULE | {"node": "study", "name": "study only"})
    for node in ("kitchen", "study"):
        hear(engine, ["angry"] * 6, node=node)
    assert sorted((c.rule["name"], c.node) for c in rules.evaluate(NOW)) == [
        ("shouting", "kitchen"),
        ("shouting", "study"),
        ("study only", "study"),
    ]
    assert len(rules.evaluate(NOW + 11 * 60_000)) == 3
    assert rules.remove(1)
    assert not rules.remove(1)
    assert [row["name"] for row in rules.recent_alerts(10)] == ["study only"]


def test_an_erased_room_takes_its_alerts_along(engine):
    rules = RuleStore(engine)
    rules.add(RULE)
    hear(engine, ["angry"] * 6)
    assert len(rules.evaluate(NOW)) == 1
    assert retention.erase_room(engine, "kitchen")
    assert rules.recent_alerts(10) == []


def test_reachability_counts_minutes_without_a_probe_as_not_reached(engine):
    reach = Reachability(engine)
    assert reach.share(6_000_000) == {"minutes": 0, "share": None}
    for minute, page, came in (
        (99_900, True, True),
        (99_901, True, False),
        (99_902, False, True),
        (99_905, True, True),
    ):
        reach.record(minute, page, came)
    reach.record(99_901, False, True)  # Another dashboard on the same database got the other half.
    # The two minutes of a restart are not counted; those after the last result are.
    assert reach.share(99_910 * 60) == {"minutes": 10, "share": 3 / 8}
    reach.record(99_930, True, True)
    assert reach.share(99_931 * 60) == {"minutes": 31, "share": 4 / 29}


def test_a_loud_room_raises_an_alert_until_it_is_quiet(engine):
    rules = RuleStore(engine)
    rules.add(RULE | {"kind": "loud", "level": -20})

    def speak(level, count, at):
        events = [event_of("neutral", at / 1000 - n, seq=n + 1, level_dbfs=level) for n in range(count)]
        Writer(engine).write([Received("kitchen", one, at) for one in events])

    speak(-35.0, 5, NOW)
    assert rules.evaluate(NOW) == []
    speak(-10.0, 20, NOW + 1000)
    (begun,) = rules.evaluate(NOW + 1000)
    assert (begun.on, begun.value, begun.message()["limit"]) == (True, -15.0, -20)
    assert begun.message()["share"] is None
    (ended,) = rules.evaluate(NOW + 30 * 60_000)
    assert ended.on is False


def test_an_episode_raises_an_alert_when_it_lasts(engine):
    rules = RuleStore(engine)
    rules.add(RULE | {"kind": "episode", "minutes": 10})
    hear(engine, ["neutral"])
    since = NOW / 1000
    assert rules.evaluate(NOW + 9 * 60_000, {"kitchen": since}) == []
    (begun,) = rules.evaluate(NOW + 10 * 60_000, {"kitchen": since})
    assert (begun.on, begun.value) == (True, 10.0)
    assert rules.evaluate(NOW + 20 * 60_000, {"kitchen": since}) == []
    (ended,) = rules.evaluate(NOW + 21 * 60_000, {})
    assert ended.on is False


def test_a_rule_that_is_paused_or_changed_ends_its_alerts_and_says_nothing(engine):
    rules = RuleStore(engine)
    number = rules.add(RULE)
    hear(engine, ["angry"] * 6)
    assert len(rules.evaluate(NOW)) == 1
    assert rules.count_active() == 1
    assert rules.change(number, RULE | {"paused": 1, "name": "quiet"})
    assert rules.count_active() == 0
    assert rules.evaluate(NOW + 1000) == []
    assert rules.change(number, RULE | {"paused": 0})
    assert len(rules.evaluate(NOW + 2000)) == 1
    assert not rules.change(999, RULE)
    assert rules.find(999) is None


def test_the_last_delivery_of_each_channel_is_kept_and_old_ones_go(engine):
    rules = RuleStore(engine)
    number = rules.add(RULE)
    for n in range(MAX_DELIVERIES + 5):
        rules.record_delivery(number, "webhook", f"error {n}")
    rules.record_delivery(number, "mqtt", "")
    rules.record_delivery(999, "mqtt", "")
    last = {one["channel"]: one["error"] for one in rules.last_deliveries()[number]}
    assert last == {"mqtt": "", "webhook": f"error {MAX_DELIVERIES + 4}"}
    with engine.connect() as connection:
        assert len(connection.execute(select(deliveries.c.id)).all()) == MAX_DELIVERIES
    assert rules.remove(number)
    with engine.connect() as connection:
        assert connection.execute(select(deliveries.c.id)).all() == []
