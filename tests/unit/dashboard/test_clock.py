"""A wrong clock deletes nothing that was recorded and ends no session."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from dashboard.auth.accounts import Accounts, digest
from dashboard.auth.audit import AuditLog
from dashboard.db import clock as module
from dashboard.db import retention
from dashboard.db.clock import HubClock
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import audit, events, sessions
from dashboard.recorder.writer import Received, Writer
from tests.support.messages import event_of

DAY_MS = 86_400_000
KEEP_DAYS = 90


class Machine:
    def __init__(self, now_ms: int) -> None:
        self.wall, self.steady = now_ms / 1000, 500.0

    def clock(self, engine) -> HubClock:
        return HubClock(engine, lambda: self.wall, lambda: self.steady)


@pytest.fixture
def engine(tmp_path):
    opened = connect(f"sqlite:///{tmp_path / 'hub.db'}")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def machine(engine, monkeypatch):
    """A hub with recorded events, a session and an audit log, an hour after its start."""
    from dashboard.values import now_ms

    made = Machine(now_ms())
    monkeypatch.setitem(module._clocks, engine, made.clock(engine))
    now = now_ms()
    Writer(engine).write(
        [Received("kitchen", event_of("happy", now / 1000, seq=n), now) for n in range(1, 51)]
    )
    accounts = Accounts(engine)
    accounts.add("ann", "viewer", "a long password")
    made.session = digest(accounts.create_session("ann"))
    AuditLog(engine).record("ann", "127.0.0.1", "login")
    return made


def count(engine, table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


@pytest.mark.parametrize("restarted", [True, False])
def test_a_clock_that_is_400_days_ahead_erases_nothing(engine, machine, monkeypatch, restarted: bool) -> None:
    machine.wall += 400 * 86_400
    machine.steady += 60
    if restarted:
        monkeypatch.setitem(module._clocks, engine, machine.clock(engine))
    retention.expire(engine, module.guarded_ms(engine) - KEEP_DAYS * DAY_MS)
    AuditLog(engine).record("ann", "127.0.0.1", "login")
    Accounts(engine).create_session("ann")
    assert (count(engine, events), count(engine, audit), count(engine, sessions)) == (50, 2, 2)
    assert Accounts(engine).identify(machine.session) is not None
    assert module.clock_of(engine).ahead_s() > 399 * 86_400


def test_what_is_old_is_deleted_when_the_time_has_really_passed(engine, machine) -> None:
    machine.wall += 400 * 86_400
    machine.steady += 400 * 86_400
    retention.expire(engine, module.guarded_ms(engine) - KEEP_DAYS * DAY_MS)
    AuditLog(engine).record("ann", "127.0.0.1", "login")
    assert (count(engine, events), count(engine, audit)) == (0, 1)
    assert Accounts(engine).identify(machine.session) is None


def test_the_next_start_goes_on_from_the_time_that_was_kept(engine, machine) -> None:
    machine.wall += 10 * 86_400
    machine.steady += 10 * 86_400
    kept = module.guarded_ms(engine)
    machine.wall += 5 * 3600
    machine.steady = 0.0
    again = machine.clock(engine)
    assert kept < again.now_ms() <= kept + 3600 * 1000 + 1000
