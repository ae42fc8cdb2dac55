from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlalchemy import func, select

from dashboard.admin.simulate import fill, simulated_rooms
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS, events, quarters
from edge.cli.main import main

UNTIL = 1_770_000_000.0


def test_a_simulated_past_is_the_same_for_the_same_seed_and_plausible(place):
    engine = connect(place)
    migrate(engine)
    places = simulated_rooms(3, 1)
    first = [new for _, new in fill(engine, places, UNTIL, days=3, per_day=120, seed=1)]
    again = [new for _, new in fill(engine, places, UNTIL, days=3, per_day=120, seed=1)]
    assert min(first) > 100
    assert again == [0, 0, 0]
    with engine.connect() as connection:
        counts = dict(
            connection.execute(select(events.c.emotion, func.count()).group_by(events.c.emotion)).all()
        )
        span = connection.execute(select(func.min(events.c.at), func.max(events.c.at))).one()
        total = connection.execute(select(func.sum(quarters.c.count))).scalar()
    assert sum(first) == total
    assert max(counts, key=counts.get) == EMOTIONS.index("neutral")
    assert len(counts) == len(EMOTIONS)
    assert (UNTIL - 3 * 86_400) * 1000 <= span[0] < span[1] <= UNTIL * 1000
    engine.dispose()


def test_the_command_fills_and_takes_away_again(tmp_path, capsys):
    database = f"sqlite:///{tmp_path}/a.db"
    assert main(["hub", "simulate", "--rooms", "2", "--days", "2", "--database", database]) == 0
    assert "utterances in 2 rooms" in capsys.readouterr().out
    with closing(sqlite3.connect(f"{tmp_path}/a.db")) as connection:
        names = connection.execute("select node, name from rooms order by node").fetchall()
    assert names == [
        ("sim-kitchen", "Kitchen (simulated)"),
        ("sim-living-room", "Living room (simulated)"),
    ]
    assert main(["hub", "simulate", "--rooms", "2", "--remove", "--database", database]) == 0
    assert "2 simulated rooms removed" in capsys.readouterr().out
    assert main(["hub", "simulate", "--rooms", "0", "--database", database]) == 2
    assert main(["hub", "simulate"]) == 2
