"""Which browsers are notified, and the hub's key for push services; stored in the recorder's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, delete, func, select

from dashboard.alerts.push_subscription import PushSubscription, encode_base64
from dashboard.db.statements import insert
from dashboard.db.tables import push_key, push_subscriptions
from dashboard.values import now_ms

if TYPE_CHECKING:
    from dashboard.alerts.web_push import VapidKey

MAX_PER_USER: Final = 20
KEY_ROW: Final = 1


class PushStore:
    """Thread-safe. Database errors (`SQLAlchemyError`) are not caught."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def key(self) -> VapidKey:
        """Return the hub's key; it is made when it is first asked for."""
        from dashboard.alerts.web_push import VapidKey

        with self._engine.begin() as connection:
            row = {"id": KEY_ROW, "private": VapidKey.generate()}
            connection.execute(insert(connection, push_key).values(row).on_conflict_do_nothing())
            private = connection.execute(select(push_key.c.private)).scalar_one()
        return VapidKey(bytes(private))

    def add(self, user: str, subscription: PushSubscription) -> bool:
        """Store a subscription, or renew it; return False if the user has too many."""
        keys = {"p256dh": encode_base64(subscription.p256dh), "auth": encode_base64(subscription.auth)}
        row = {"endpoint": subscription.endpoint, "user": user, "created": now_ms()} | keys
        with self._engine.begin() as connection:
            others = (
                select(func.count())
                .select_from(push_subscriptions)
                .where(push_subscriptions.c.user == user)
                .where(push_subscriptions.c.endpoint != subscription.endpoint)
            )
            if (connection.execute(others).scalar() or 0) >= MAX_PER_USER:
                return False
            statement = insert(connection, push_subscriptions).values(row)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["endpoint"], set_=keys | {"user": user})
            )
        return True

    def remove(self, endpoint: str) -> None:
        """Delete the subscription of a browser, given by the address that its push service assigned."""
        with self._engine.begin() as connection:
            connection.execute(delete(push_subscriptions).where(push_subscriptions.c.endpoint == endpoint))

    def subscriptions(self) -> list[PushSubscription]:
        """Return the push subscriptions of all browsers."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(push_subscriptions)).all()
        return [PushSubscription.parse(row.endpoint, row.p256dh, row.auth) for row in rows]
