"""What all routes share: the parts they work on, errors as JSON, times, and the log of commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import HTTPException, Path, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.alerts.rules import Rules
from dashboard.auth.accounts import Accounts
from dashboard.auth.limits import Limiter
from dashboard.auth.middleware import address_of, identity_of
from dashboard.db.engine import reason
from dashboard.db.history import History
from dashboard.db.records import Records
from dashboard.live.feed import Hub
from dashboard.live.reachability import Reachability
from dashboard.releases.catalogue import Releases
from provisioning.publish.repository import HubRepository

log = logging.getLogger(__name__)

T = TypeVar("T")
Node = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$", description="The node id of a room")]


@dataclass(frozen=True)
class Parts:
    """What the routes work on; without a database all but the first two are None."""

    hub: Hub
    limiter: Limiter
    engine: Engine | None = None
    """Writes."""
    accounts: Accounts | None = None
    history: History | None = None
    records: Records | None = None
    rules: Rules | None = None
    reachability: Reachability | None = None
    releases: Releases = field(default_factory=lambda: Releases(None))
    repository: HubRepository | None = None
    """The repository of models that this hub serves."""


async def ask(query: Callable[..., T], *arguments: Any) -> T:
    """A query in a thread of its own. Raises `HTTPException` 503 where the database does not answer."""
    try:
        return await asyncio.to_thread(query, *arguments)
    except SQLAlchemyError as error:
        log.error("the database does not answer: %s", reason(error))
        raise HTTPException(503, f"the database does not answer: {reason(error)}") from None


def need(part: T | None) -> T:
    """The part. Raises `HTTPException` 501 where nothing is recorded."""
    if part is None:
        raise HTTPException(501, "nothing is recorded: start the dashboard with --database URL")
    return part


def moment(text: str | None, otherwise: float) -> int:
    """A time of ISO 8601 in milliseconds since 1970; without a zone it is UTC. Raises `HTTPException` 422."""
    if not text:
        return round(otherwise * 1000)
    try:
        # A `+` that nobody escaped arrives as a blank.
        at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0, min(round(at.timestamp() * 1000), 2**53))
    except (ValueError, OverflowError):
        raise HTTPException(
            422, f"{text[:40]!r} is not a time; write 2026-01-01T10:00:00Z or 2026-01-01"
        ) from None


async def note(parts: Parts, request: Request, action: str, target: str, result: str) -> None:
    """Writes into the log of commands who did what. What cannot be written is at least said."""
    who = identity_of(request)
    log.info("%s: %s %s: %s", who.name, action, target, result)
    if parts.accounts is not None:
        arguments = (who.name, address_of(request), action, target, result)
        try:
            await asyncio.to_thread(parts.accounts.note, *arguments)
        except SQLAlchemyError as error:
            log.error(
                "%s did `%s %s` (%s), and it cannot be noted: %s",
                who.name,
                action,
                target,
                result,
                reason(error),
            )


def end_of_time() -> float:
    """Later than anything that was recorded."""
    return time.time() + 86_400
