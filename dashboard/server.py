"""The web server: NiceGUI inside FastAPI inside uvicorn, started and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from edge.errors import UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dashboard.history import History
    from dashboard.hub import Hub


def listen(host: str, port: int) -> socket.socket:
    """Takes the port, before anything slow is loaded. Port 0: any free one. Raises `UserError`."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise UserError(
            f"cannot serve on {host} port {port}: {(error.strerror or str(error)).lower()}; choose another with --port"
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(hub_of: Any, history_of: Any, listener: socket.socket, storage_secret: str | None) -> int:
    """Serves until SIGINT or SIGTERM; the exit status is 0. `hub_of` and `history_of` are called on the event loop."""
    with contextlib.ExitStack() as stack:
        # NiceGUI keeps what it stores in files (by default in the working directory) and looks once, at import.
        # Without a secret it stores nothing, and with this path it could not.
        folder = "/dev/null/roomtone"
        if storage_secret is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="roomtone-dashboard-"))
        os.environ["NICEGUI_STORAGE_PATH"] = folder
        os.environ.pop("NICEGUI_REDIS_URL", None)
        asyncio.run(_serve(hub_of, history_of, listener, storage_secret))
    return 0


async def _serve(hub_of: Any, history_of: Any, listener: socket.socket, storage_secret: str | None) -> None:
    import uvicorn

    hub: Hub = hub_of()
    application = build(hub, history_of(), storage_secret)

    class Server(uvicorn.Server):
        """Ends on a signal like any other way of ending: uvicorn would raise it again and die of it."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def leave(_number: int, _frame: FrameType | None) -> None:
                self.should_exit = True

            before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number in before:
                    signal.signal(number, signal.SIG_IGN)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(f"ready {url_of(listener)}", file=sys.stderr, flush=True)

    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        ws="wsproto",
        timeout_graceful_shutdown=1,
        server_header=False,
        ws_max_size=2**20,
    )
    # What uvicorn says of the sockets that it closes at the end is not news.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    await Server(config).serve([listener])


def build(hub: Hub, history: History | None, storage_secret: str | None) -> FastAPI:
    """The application with all its pages."""
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui

    from dashboard import theme
    from dashboard.headers import SecurityHeaders
    from dashboard.pages import room, rooms

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        yield
        await hub.stop()

    # FastAPI's own documentation pages load their scripts from elsewhere.
    application = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @application.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return hub.health()

    # A page that is not there is the reader's affair, not the log's.
    logging.getLogger("nicegui").setLevel(logging.ERROR)
    nicegui_app.add_static_files("/assets", Path(__file__).parent / "static", max_cache_age=86_400)
    theme.install()
    rooms.register(hub)
    room.register(hub, history)
    ui.run_with(
        application,
        title="Roomtone",
        favicon=theme.FAVICON,
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        storage_secret=storage_secret,
        show_welcome_message=False,
    )
    application.add_middleware(SecurityHeaders)
    return application
