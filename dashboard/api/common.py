"""What all routes share: the services they use, database queries with errors as JSON, times, and the audit log."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from fastapi import HTTPException, Path, Query, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.alerts.addresses import AllowedAddresses
from dashboard.alerts.notifier import Notifier
from dashboard.alerts.push_store import PushStore
from dashboard.alerts.rules import RuleStore
from dashboard.auth.accounts import Accounts
from dashboard.auth.audit import AuditLog
from dashboard.auth.guests import GuestLinks
from dashboard.auth.limits import LOGIN, RequestLimiter, client_network
from dashboard.auth.middleware import client_address, identity_of
from dashboard.db.engine import describe_error
from dashboard.db.history import History
from dashboard.db.periods import Periods
from dashboard.db.reachability import Reachability
from dashboard.db.records import Records
from dashboard.live.feed import Feed
from dashboard.releases.catalogue import Releases
from edge.util import timestamps
from edge.util.text.patterns import pattern

if TYPE_CHECKING:
    from provisioning.publish.hub_repository import HubRepository

log = logging.getLogger(__name__)

T = TypeVar("T")
Emotion = Literal["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain"]
From = Annotated[str | None, Query(alias="from", description="ISO 8601, inclusive; default: the first event")]
To = Annotated[str | None, Query(description="ISO 8601, exclusive; default: now")]
NODE: Final = pattern(r"^[a-z0-9_-]{1,64}$", "1 to 64 of a-z, 0-9, `_` and `-`").pattern
Node = Annotated[str, Path(pattern=NODE, description="The node id of a room")]


@dataclass(frozen=True)
class Services:
    """The services that the routes use; those that need a database are None without one."""

    feed: Feed
    limiter: RequestLimiter
    engine: Engine | None = None
    """Writable."""
    accounts: Accounts | None = None
    audit: AuditLog | None = None
    history: History | None = None
    periods: Periods | None = None
    records: Records | None = None
    rules: RuleStore | None = None
    notifier: Notifier | None = None
    push: PushStore | None = None
    allowed: AllowedAddresses = field(default_factory=AllowedAddresses)
    """Where notifications may go."""
    mail: bool = False
    """Whether e-mails can be sent."""
    reachability: Reachability | None = None
    releases: Releases = field(default_factory=lambda: Releases(None))
    try_it: bool = False
    """Whether recordings can be classified here."""
    enrol: str = ""
    """The command that enrols a device, for the page *Add a device*."""
    device_broker: str = ""
    """URL by which devices reach the broker."""
    phones: bool = False
    """Whether a phone has to install a certificate before it opens these pages."""
    guests: GuestLinks | None = None
    """None: there are no guest links."""
    broker_denials: pathlib.Path | None = None
    """File of what the hub's own broker refuses; None: not known."""
    repository: HubRepository | None = None
    """The repository of models that this hub serves."""


async def run_query(query: Callable[..., T], *arguments: Any) -> T:
    """Run a database query in a thread. Raises `HTTPException` 503 if the database does not answer."""
    try:
        return await asyncio.to_thread(query, *arguments)
    except SQLAlchemyError as error:
        log.error("the database does not answer: %s", describe_error(error))
        raise HTTPException(503, f"the database does not answer: {describe_error(error)}") from None


def require(service: T | None) -> T:
    """Return a service that needs a database. Raises `HTTPException` 501 if there is none."""
    if service is None:
        raise HTTPException(501, "no database: start the dashboard with --database URL")
    return service


async def require_room(services: Services, node: str) -> None:
    """Raise `HTTPException` 404 for a room that neither has a device nor was ever recorded."""
    if node in services.feed.registry.rooms:
        return
    if services.history is not None and await run_query(services.history.is_recorded, node):
        return
    raise HTTPException(404, f"there is no room {node}")


def parse_time(text: str | None, default: float) -> int:
    """Return a time in milliseconds since 1970, as `timestamps.parse` reads it; without an offset it is UTC.

    `default` (seconds since 1970) is used if there is no text. Raises `HTTPException` 422.
    """
    if not text:
        return round(default * 1000)
    text = text.strip()
    try:
        # An unescaped `+` in a query arrives as a blank.
        at = timestamps.parse(text.replace(" ", "+") if "T" in text.upper() else text)
        return max(0, min(round(at.timestamp() * 1000), 2**53))
    except (ValueError, OverflowError):
        raise HTTPException(
            422, f"{text[:40]!r} is not a time; write 2026-01-01T10:00:00Z or 2026-01-01"
        ) from None


async def record_action(services: Services, request: Request, action: str, target: str, result: str) -> None:
    """Add an entry to the audit log; if that fails, log it."""
    user = identity_of(request)
    log.info("%s: %s %s: %s", user.name, action, target, result)
    if services.audit is not None:
        arguments = (user.name, client_address(request), action, target, result)
        try:
            await asyncio.to_thread(services.audit.record, *arguments)
        except SQLAlchemyError as error:
            log.error(
                "`%s %s` by %s (%s) is not in the audit log: %s",
                action,
                target,
                user.name,
                result,
                describe_error(error),
            )


async def confirm_password(
    services: Services, request: Request, password: str, action: str, target: str
) -> None:
    """Compare the password of a user who is logged in, again, before what cannot be undone.

    A session or token that was left open or stolen is not enough then. Raises `HTTPException` 403 or 429.
    """
    identity = identity_of(request)
    if not identity.session:
        return
    if not services.limiter.allows(LOGIN, "login", client_network(client_address(request))):
        raise HTTPException(429, "too many attempts; wait a minute")
    if not await run_query(require(services.accounts).verify, identity.name, password):
        await record_action(services, request, action, target, "refused")
        raise HTTPException(403, "the password is wrong")


def far_future() -> float:
    """Return a time (seconds since 1970) later than any recorded event."""
    return time.time() + 86_400


def describe_period(begin: str | None, to: str | None) -> str:
    """Return a period for the audit log."""
    if begin is None and to is None:
        return "everything"
    now = timestamps.now()
    return re.sub(r"[^0-9A-Za-z:+. -]", "", f"{begin or 'the beginning'} to {to or now}")[:100]
