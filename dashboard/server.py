"""The web server: uvicorn, with an orderly start and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType
from urllib.parse import urlencode

from dashboard.alerts.channels import NotificationSettings
from dashboard.auth.local_token import PARAMETER
from dashboard.settings import Settings
from edge.util.errors import UserError, reason


def listen(host: str, port: int) -> socket.socket:
    """Bind the port before anything slow is loaded; port 0 is any free one. Raises `UserError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"--host {host}: {reason(error)}") from None
    except UnicodeError:
        raise UserError(f"--host {host}: not a valid host name") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise UserError(
            f"cannot serve on {host} port {port}: {(reason(error)).lower()}; choose another with --port"
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(settings: Settings, listener: socket.socket, notifications: NotificationSettings) -> int:
    """Serve until SIGINT or SIGTERM and return the exit status 0. Raises `UserError`."""
    # Each slow client holds a descriptor: raise the limit as far as the kernel allows.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(_serve(settings, listener, notifications))
    return 0


async def _serve(settings: Settings, listener: socket.socket, notifications: NotificationSettings) -> None:
    import uvicorn

    from dashboard.application import Application
    from dashboard.http_protocol import LimitedHTTPProtocol

    application = Application(settings, notifications).build()

    class Server(uvicorn.Server):
        """Shuts down on a signal without raising it again, as uvicorn would do."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def request_exit(_number: int, _frame: FrameType | None) -> None:
                self.should_exit = True

            before = {
                number: signal.signal(number, request_exit) for number in (signal.SIGINT, signal.SIGTERM)
            }
            try:
                yield
            finally:
                for number in before:
                    signal.signal(number, signal.SIG_IGN)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                query = f"?{urlencode({PARAMETER: settings.token})}" if settings.token else ""
                print(f"ready {url_of(listener)}{query}", file=sys.stderr, flush=True)

    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        http=LimitedHTTPProtocol,
        ws="wsproto",
        timeout_graceful_shutdown=1,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        ws_max_size=2**20,
    )
    # uvicorn reports the sockets that it closes at shutdown, which is of no use.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    await Server(config).serve([listener])
