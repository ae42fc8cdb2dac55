"""The web application with all its pages: NiceGUI inside FastAPI."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from fastapi import FastAPI, Request
from nicegui import app as nicegui_app
from nicegui import ui
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from dashboard import api, theme
from dashboard.alerts.notifier import Teller
from dashboard.alerts.rules import Rules
from dashboard.api.common import Parts
from dashboard.auth import login
from dashboard.auth.accounts import Accounts
from dashboard.auth.limits import Limiter
from dashboard.auth.middleware import IDENTITY, Gate
from dashboard.auth.open_pages import watch
from dashboard.db.engine import connect, migrate, reason
from dashboard.db.history import History
from dashboard.db.records import Records
from dashboard.headers import SecurityHeaders, install_nonces
from dashboard.live import reachability
from dashboard.live.feed import Hub
from dashboard.pages import alerts, fleet, models, room, rooms, try_it
from dashboard.releases import api as updates_api
from dashboard.releases.catalogue import Releases
from dashboard.settings import Settings
from dashboard.tryit import api as tryit
from dashboard.tryit.pool import Pool
from edge.util.errors import UserError
from edge.util.version import VERSION
from provisioning.publish.repository import HubRepository

log = logging.getLogger(__name__)

REMEMBERED_S: Final = 86_400
"""A room of which nothing was heard for a day is shown when it speaks up again."""


def build(settings: Settings) -> ASGIApp:
    """Makes it, once in a process. Raises `UserError`."""
    hub = Hub(settings.broker, settings.base_topic)
    history = None if settings.database is None else History(connect(settings.database, read_only=True))
    accounts = _accounts(settings)
    limiter = Limiter()
    pool = None if settings.bundle is None else Pool(settings.bundle)
    repository = None if settings.updates is None else HubRepository(settings.updates)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if history is not None:
            try:
                hub.remember(
                    await asyncio.to_thread(history.newest, round((time.time() - REMEMBERED_S) * 1000))
                )
            except SQLAlchemyError as error:
                log.error("the database does not answer: %s", reason(error))
        await hub.start()
        tasks = [asyncio.create_task(work) for work in background()]
        async with contextlib.nullcontext() if repository is None else updates_api.refreshing(repository):
            yield
        for task in tasks:
            task.cancel()
        if pool is not None:
            await pool.stop()
        await hub.stop()

    def background() -> Iterator[Coroutine[Any, Any, NoReturn]]:
        if accounts is None or parts.rules is None or parts.reachability is None:
            return
        if settings.login:
            yield watch(accounts, gate)
        yield Teller(parts.rules, hub, accounts).run()
        yield reachability.watch(parts.reachability, hub, settings.own_address)

    application = _bare(hub, lifespan)
    if repository is not None:
        updates_api.install(application, repository)

    # A page that is not there is the reader's affair, not the log's.
    logging.getLogger("nicegui").setLevel(logging.ERROR)
    nicegui_app.add_static_files("/assets", Path(__file__).parent / "static", max_cache_age=86_400)
    pages = [("/", "Rooms"), ("/fleet", "Fleet"), ("/models", "Models"), ("/alerts", "Alerts")]
    install_nonces()
    rooms.register(hub)
    room.register(hub, history)
    fleet.register()
    models.register()
    alerts.register()
    if pool is not None:
        pages.append(("/try", "Try it"))
        try_it.register()
        tryit.install(application, pool, limiter)
    parts = _parts(
        settings.database,
        Parts(
            hub,
            limiter,
            accounts=accounts,
            history=history,
            releases=Releases(repository),
            repository=repository,
        ),
    )
    api.install(application, parts)
    theme.install(pages)
    gate = Gate(application, accounts if settings.login else None, limiter)
    if settings.login and accounts is not None:
        login.install(application, accounts, limiter, gate)
    ui.run_with(
        application,
        title="Roomtone",
        favicon=theme.FAVICON,
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    return SecurityHeaders(gate)


def _bare(hub: Hub, lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]) -> FastAPI:
    # FastAPI's own documentation pages load their scripts from elsewhere.
    application = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        title="Roomtone hub",
        version=VERSION,
    )

    @application.get("/healthz", include_in_schema=False)
    async def healthz(request: Request) -> dict[str, Any]:
        health = hub.health()
        known = request.scope.get(IDENTITY) is not None
        return health if known else {key: health[key] for key in ("status", "broker")}

    return application


def _parts(database: str | None, without: Parts) -> Parts:
    """With a database, what works on it, too."""
    if database is None:
        return without
    engine = connect(database, make=False)
    return replace(
        without,
        engine=engine,
        records=Records(connect(database, read_only=True)),
        rules=Rules(engine),
        reachability=reachability.Reachability(engine),
    )


def _accounts(settings: Settings) -> Accounts | None:
    """The accounts, with a first one where there was none; None without a database. Raises `UserError`."""
    if settings.database is None:
        return None
    try:
        first = connect(settings.database)
        migrate(first)
        first.dispose()
    except UserError as error:
        if settings.login:
            raise
        log.error("%s", error)
    accounts = Accounts(connect(settings.database, make=False))
    if settings.login and (made := accounts.first()) is not None:
        print(
            f"first start: log in as `{made[0]}` with the password {made[1]}\n"
            "It is shown this once. Another: roomtone hub user passwd operator",
            file=sys.stderr,
            flush=True,
        )
    return accounts
