"""Users, sessions and tokens, against real databases."""

from __future__ import annotations

import pytest

from dashboard.auth import accounts as module
from dashboard.auth.accounts import MAX_SESSION_MS, RENEW_MS, SESSION_MS, Accounts, digest
from dashboard.db.engine import connect
from dashboard.db.schema import migrate

START = 1_770_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def clock(monkeypatch):
    times = [START]
    monkeypatch.setattr(module, "guarded_ms", lambda _engine: times[-1])
    return times


@pytest.fixture
def accounts(place, clock):
    engine = connect(place)
    migrate(engine)
    made = Accounts(engine)
    made.add("ann", "viewer", "a long password")
    yield made
    engine.dispose()


def test_a_session_lives_on_while_it_is_used_and_ends_after_a_time_nevertheless(accounts, clock):
    session = digest(accounts.create_session("ann"))
    days = 0
    while accounts.identify(session) is not None:
        days += 1
        assert days <= MAX_SESSION_MS // DAY_MS
        clock.append(START + days * DAY_MS)
    assert days == MAX_SESSION_MS // DAY_MS
    assert SESSION_MS < MAX_SESSION_MS


def test_a_session_that_is_not_used_ends_sooner(accounts, clock):
    session = digest(accounts.create_session("ann"))
    clock.append(START + RENEW_MS // 2)
    assert accounts.identify(session) is not None
    clock.append(START + SESSION_MS + 1)
    assert accounts.identify(session) is None


def test_a_token_ends_at_its_own_time(accounts, clock):
    token = digest(accounts.create_session("ann", "wall", 365 * DAY_MS))
    clock.append(START + 364 * DAY_MS)
    assert accounts.identify(token).label == "wall"
    clock.append(START + 366 * DAY_MS)
    assert accounts.identify(token) is None


def test_sessions_and_tokens_of_a_user_are_counted_apart(accounts, clock):
    accounts.add("bob", "operator", "a long password")
    for label in ("", "wall", "script"):
        accounts.create_session("ann", label)
    accounts.create_session("ann", "old", lifetime_ms=1)
    clock.append(START + 2)
    counts = {user["name"]: (user["sessions"], user["tokens"]) for user in accounts.list_users()}
    assert counts == {"ann": (1, 2), "bob": (0, 0)}


@pytest.mark.parametrize("end_tokens", [False, True])
def test_a_new_password_ends_sessions_and_if_asked_tokens(accounts, end_tokens):
    session, token = digest(accounts.create_session("ann")), digest(accounts.create_session("ann", "wall"))
    accounts.update("ann", password="another password", end_tokens=end_tokens)
    assert accounts.identify(session) is None
    assert (accounts.identify(token) is None) == end_tokens
    assert accounts.verify("ann", "another password")
    assert not accounts.verify("ann", "a long password")
