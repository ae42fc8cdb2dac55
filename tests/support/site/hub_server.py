"""The hub's own part for models, over real HTTPS (uvicorn), in a thread; the rest of the dashboard is left out."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from dashboard.releases import api
from provisioning.publish.hub_repository import HubRepository
from tests.support.broker import free_port
from tests.support.site.publishing import certificate


class Hub:
    """Serves what `fleet keys init` has made; the port is known before, as the site has to know the address."""

    def __init__(self, scratch: Path) -> None:
        self.cert, self._key = certificate(scratch)
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}/updates"
        self._server: uvicorn.Server | None = None

    def start(self, folder: Path) -> None:
        application = FastAPI(lifespan=lambda _: api.refreshing(repository))
        repository = HubRepository(folder)
        api.install(application, repository)
        # Its own way to log would close all handlers that there are, and absl's takes the test's standard error along.
        config = uvicorn.Config(
            application, host="127.0.0.1", port=self._port, log_level="warning", log_config=None,
            ssl_certfile=str(self.cert), ssl_keyfile=str(self._key), timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 15
        while not self._server.started:
            assert time.monotonic() < deadline, "the hub does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join(10)
