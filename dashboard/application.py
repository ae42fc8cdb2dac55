"""The web application with all its pages: NiceGUI inside FastAPI."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from sqlalchemy.exc import SQLAlchemyError

from dashboard import theme
from dashboard.headers import SecurityHeaders
from dashboard.history import History
from dashboard.hub import Hub
from dashboard.pages import room, rooms, try_it
from dashboard.recorder.database import connect, reason
from dashboard.settings import Settings
from dashboard.tryit import api
from dashboard.tryit.pool import Pool
from dashboard.updates import api as updates_api
from dashboard.updates.online import Online

log = logging.getLogger(__name__)

REMEMBERED_S: Final = 86_400
"""A room of which nothing was heard for a day is shown when it speaks up again."""


def build(settings: Settings) -> FastAPI:
    """Makes it, once in a process. Raises `UserError`."""
    hub = Hub(settings.broker, settings.base_topic)
    history = None if settings.database is None else History(connect(settings.database, read_only=True))
    pool = None if settings.bundle is None else Pool(settings.bundle)
    online = None if settings.updates is None else Online(settings.updates)

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
        async with contextlib.AsyncExitStack() as stack:
            if online is not None:
                await stack.enter_async_context(updates_api.refreshing(online))
            yield
        if pool is not None:
            await pool.stop()
        await hub.stop()

    # FastAPI's own documentation pages load their scripts from elsewhere.
    application = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @application.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return hub.health()

    if online is not None:
        updates_api.install(application, online)

    # A page that is not there is the reader's affair, not the log's.
    logging.getLogger("nicegui").setLevel(logging.ERROR)
    nicegui_app.add_static_files("/assets", Path(__file__).parent / "static", max_cache_age=86_400)
    pages = [("/", "Rooms")]
    rooms.register(hub)
    room.register(hub, history)
    if pool is not None:
        pages.append(("/try", "Try it"))
        try_it.register()
        api.install(application, pool)
    theme.install(pages)
    ui.run_with(
        application,
        title="Roomtone",
        favicon=theme.FAVICON,
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        storage_secret=settings.storage_secret,
        show_welcome_message=False,
    )
    application.add_middleware(SecurityHeaders)
    return application
