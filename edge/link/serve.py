"""Runs the link: opens the ear's socket and the metrics server, and ends with a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from pathlib import Path

from edge.config.settings import Config
from edge.link.ipc import listener
from edge.link.process import Link
from edge.mqtt.address import from_config
from edge.util.notify import notify
from edge.util.service.restarts import LASTED_S, Restarts

log = logging.getLogger(__name__)


async def serve(config: Config, started: float, restarts: Restarts) -> None:
    """Run the link until SIGTERM or SIGINT; `started` is the monotonic start time of the process in seconds."""
    loop = asyncio.get_running_loop()
    ear = listener.listen(Path(config.runtime.socket))
    metrics_server = None
    try:
        link = Link(config, ear)
        if config.runtime.metrics_port is not None:
            # Loaded only where it is used: the library takes memory and time.
            from edge.link import metrics

            metrics_server = await metrics.serve(config.runtime.metrics_port, link.metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, link.stop)
        log.info(
            "ready after %.2f s: %s listens on %s, broker %s",
            time.monotonic() - started,
            config.node.id,
            config.runtime.socket,
            from_config(config).place,
        )
        notify("READY=1", f"STATUS=listening on {config.runtime.socket}")
        loop.call_later(LASTED_S + 1, restarts.alive)
        await link.run()
    finally:
        if metrics_server is not None:
            metrics_server.close()
        ear.close()
