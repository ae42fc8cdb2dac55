"""The web application: the API, one WebSocket for live data, and the files of the front end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import shlex
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi import FastAPI, Request
from starlette.types import ASGIApp

from dashboard import api, phone_page, spa
from dashboard.alerts.channels import Channels, NotificationSettings
from dashboard.alerts.notifier import Notifier
from dashboard.alerts.push_store import PushStore
from dashboard.alerts.rules import RuleStore
from dashboard.api.common import Services
from dashboard.auth import guest_page, login
from dashboard.auth.accounts import Accounts
from dashboard.auth.audit import AuditLog
from dashboard.auth.guests import GuestLinks
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.middleware import IDENTITY, AuthMiddleware
from dashboard.auth.open_sockets import OpenSockets
from dashboard.db.engine import connect
from dashboard.db.history import History
from dashboard.db.lock import hold_shared
from dashboard.db.periods import Periods
from dashboard.db.reachability import Reachability
from dashboard.db.records import Records
from dashboard.db.schema import NewerSchemaError, migrate
from dashboard.first_state import first_state
from dashboard.headers import SecurityHeaders
from dashboard.live.feed import Feed
from dashboard.live.probe import run_probe
from dashboard.live.recorded import RecordedRooms
from dashboard.releases.catalogue import Releases
from dashboard.settings import Settings
from dashboard.tryit import api as tryit_api
from dashboard.tryit.pool import ClassifierPool
from edge.util.errors import UserError
from edge.util.text.own_command import own_command
from edge.util.version import VERSION

if TYPE_CHECKING:
    from provisioning.publish.hub_repository import HubRepository

log = logging.getLogger(__name__)


class Application:
    """Builds the web application of the dashboard from its services, once in a process. Raises `UserError`."""

    def __init__(self, settings: Settings, notifications: NotificationSettings) -> None:
        self._settings = settings
        self._pool = None if settings.bundle is None else ClassifierPool(settings.bundle)
        self._services = _services(settings, notifications, _repository(settings))
        self._sockets = OpenSockets()
        self._app = FastAPI(
            lifespan=self._lifespan,
            # FastAPI's own documentation pages load their scripts from other sites.
            docs_url=None,
            redoc_url=None,
            openapi_url="/api/openapi.json",
            title="Roomtone hub",
            version=VERSION,
        )
        accounts = self._services.accounts if settings.login else None
        self._middleware = AuthMiddleware(
            self._app, accounts, self._services.limiter, settings.token, self._services.guests
        )

    def build(self) -> ASGIApp:
        """Add all routes and files; return the ASGI application with its middleware."""
        services = self._services
        _add_health(self._app, services.feed)
        if services.repository is not None:
            from dashboard.releases import api as releases_api

            releases_api.install(self._app, services.repository)
        if self._pool is not None:
            tryit_api.install(self._app, self._pool, services.limiter)
        api.install(self._app, services, self._sockets)
        if self._settings.login and services.accounts is not None and services.audit is not None:
            login.install(self._app, services.accounts, services.audit, services.limiter, self._middleware)
        if services.phones:
            phone_page.install(self._app)
        if services.guests is not None:
            guest_page.install(self._app, services.guests, services.limiter)
        spa.install(self._app, functools.partial(first_state, services))
        return SecurityHeaders(self._middleware, self._settings.public_host)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        feed, repository = self._services.feed, self._services.repository
        history = self._services.history
        recorded = None if history is None else RecordedRooms(feed, history)
        if recorded is not None:
            await recorded.synchronise()
        await feed.start()
        tasks = [asyncio.create_task(task) for task in self._background_tasks(recorded)]
        async with contextlib.nullcontext() if repository is None else _refreshing(repository):
            yield
        for task in tasks:
            task.cancel()
        if self._pool is not None:
            await self._pool.stop()
        await feed.stop()

    def _background_tasks(self, recorded: RecordedRooms | None) -> Iterator[Coroutine[Any, Any, NoReturn]]:
        services = self._services
        if recorded is not None:
            yield recorded.run()
        if services.accounts is not None and self._settings.login:
            yield self._sockets.watch(services.accounts, self._middleware)
        if services.notifier is not None:
            yield services.notifier.run()
        if services.reachability is not None:
            yield run_probe(services.feed, self._settings.own_address, services.reachability.record)


def _add_health(application: FastAPI, feed: Feed) -> None:
    @application.get("/healthz", include_in_schema=False)
    async def healthz(request: Request) -> dict[str, Any]:
        health = feed.health()
        logged_in = request.scope.get(IDENTITY) is not None
        return health if logged_in else {key: health[key] for key in ("status", "broker")}


def _repository(settings: Settings) -> HubRepository | None:
    """The repository of models; where there is none, what verifies signatures is not loaded (9 MB)."""
    if settings.updates is None:
        return None
    from provisioning.publish.hub_repository import HubRepository

    return HubRepository(settings.updates)


def _refreshing(repository: HubRepository) -> contextlib.AbstractAsyncContextManager[None]:
    from dashboard.releases import api as releases_api

    return releases_api.refreshing(repository)


def _services(
    settings: Settings, notifications: NotificationSettings, repository: HubRepository | None
) -> Services:
    """Create the services, and the first user where there is none. Raises `UserError`."""
    feed = Feed(settings.broker, settings.base_topic, settings.max_rooms)
    limiter = RequestLimiter()
    releases = Releases(repository)
    if settings.database is None:
        return Services(
            feed,
            limiter,
            releases=releases,
            repository=repository,
            try_it=settings.bundle is not None,
            enrol=settings.enrol,
            device_broker=settings.device_broker,
            broker_denials=settings.broker_denials,
        )
    hold_shared(settings.database)
    try:
        engine = connect(settings.database)
        migrate(engine)
        engine.dispose()
    except UserError as error:
        if settings.login or isinstance(error, NewerSchemaError):
            raise
        log.error("%s", error)
    engine = connect(settings.database, create=False)
    reading = connect(settings.database, read_only=True)
    accounts, rules, audit, push = Accounts(engine), RuleStore(engine), AuditLog(engine), PushStore(engine)
    if settings.login:
        _create_first_operator(accounts, settings.database)
    return Services(
        feed,
        limiter,
        engine=engine,
        accounts=accounts,
        audit=audit,
        history=History(reading),
        periods=Periods(reading),
        records=Records(reading),
        rules=rules,
        notifier=Notifier(rules, feed, Channels(notifications, push), audit.record),
        push=push,
        allowed=notifications.allowed,
        mail=notifications.mail is not None,
        reachability=Reachability(engine),
        releases=releases,
        repository=repository,
        try_it=settings.bundle is not None,
        guests=GuestLinks() if settings.guest_links else None,
        enrol=settings.enrol,
        device_broker=settings.device_broker,
        broker_denials=settings.broker_denials,
        phones=_needs_certificate(settings),
    )


def _needs_certificate(settings: Settings) -> bool:
    """Return whether the pages are served by the hub's own proxy, with a certificate that no phone knows."""
    return bool(settings.proxies) and not settings.public_host


def _create_first_operator(accounts: Accounts, database: str) -> None:
    created = accounts.create_first_operator()
    if created is not None:
        name, password = created
        # An address with a password in it is not for the log.
        where = shlex.quote(database) if database.startswith("sqlite:") else "URL"
        print(
            f"first start: log in as `{name}` with the password {password}\n"
            f"It is shown only once. To set another: {own_command()} hub user passwd {name} --database {where}",
            file=sys.stderr,
            flush=True,
        )
