"""Subscriptions of browsers for push messages."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

pytest.importorskip("cryptography", reason="cryptography is installed with roomtone[dashboard]")

from dashboard.alerts.push_store import MAX_PER_USER, PushStore
from dashboard.alerts.push_subscription import PushSubscription
from dashboard.db.tables import push_subscriptions


@pytest.fixture
def store() -> PushStore:
    engine = create_engine("sqlite://")
    push_subscriptions.metadata.create_all(engine)
    return PushStore(engine)


def subscription(number: int, auth: bytes = bytes(16)) -> PushSubscription:
    return PushSubscription(f"https://push.example/{number}", b"\4" * 65, auth)


def test_the_last_allowed_subscription_can_be_renewed_and_one_more_is_refused(
    store: PushStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(store.add("ann", subscription(number)) for number in range(MAX_PER_USER))
    assert not store.add("ann", subscription(MAX_PER_USER))
    assert store.add("ann", subscription(3, b"n" * 16))
    assert store.add("bob", subscription(MAX_PER_USER))
    monkeypatch.setattr(PushSubscription, "parse", lambda endpoint, p256dh, auth: (endpoint, auth))
    found = dict(store.subscriptions())
    assert len(found) == MAX_PER_USER + 1
    assert found["https://push.example/3"] != found["https://push.example/2"]
