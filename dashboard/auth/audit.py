"""The audit log: who did what, kept for a year."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, delete, select

from dashboard.db.clock import guarded_ms
from dashboard.db.tables import audit
from dashboard.values import now_ms, printable

KEPT_MS: Final = 365 * 86_400_000


class AuditLog:
    """The log of what users have changed, in the database.

    Thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, user: str, address: str, action: str, target: str = "", result: str = "ok") -> None:
        """Add an entry; entries older than a year are deleted."""
        now, before = now_ms(), guarded_ms(self._engine) - KEPT_MS
        row = {
            "at": now,
            "who": printable(user)[:64],
            "address": address[:64],
            "action": action[:64],
            "target": printable(target)[:100],
            "result": printable(result)[:200],
        }
        with self._engine.begin() as connection:
            connection.execute(delete(audit).where(audit.c.at < before))
            connection.execute(audit.insert(), [row])

    def entries(self, before_ms: int, limit: int) -> list[dict[str, Any]]:
        """Return the entries before a time, newest first."""
        statement = (
            select(audit)
            .where(audit.c.at < before_ms)
            .order_by(audit.c.at.desc(), audit.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]
