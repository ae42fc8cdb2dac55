"""`roomtone link`: carries what the ear says to the broker."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

from edge.config.options import add_config_options, config_from
from edge.config.settings import Config
from edge.link import metrics
from edge.link.forget import forget
from edge.link.ipc import listener
from edge.link.process import Link
from edge.mqtt import tls
from edge.mqtt.address import from_config
from edge.util.notify import notify
from edge.util.restarts import LASTED_S, Restarts, wait_before_start

log = logging.getLogger(__name__)


def register(subparsers: Any) -> None:
    """Adds `link` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "link",
        help="carry what the ear says to the broker (no microphone in this process)",
        description="Takes checked messages from the ear's socket and publishes them over MQTT. Ends with SIGTERM.",
    )
    add_config_options(parser)
    parser.add_argument(
        "--forget",
        action="store_true",
        help="instead: remove what this device has retained at the broker, also from Home Assistant, and end; "
        "stop the link first",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT. Raises `UserError` for what can never work."""
    started = time.monotonic()
    config = config_from(options)
    logging.basicConfig(
        stream=sys.stderr, level=config.runtime.log_level.upper(), format="%(levelname)s link: %(message)s"
    )
    if options.forget:
        tls.check(from_config(config))
        for name in forget(config):
            print(f"removed: {name}")
        return 0
    restarts = wait_before_start()
    tls.check(from_config(config))
    asyncio.run(_serve(config, started, restarts))
    restarts.clear()
    return 0


async def _serve(config: Config, started: float, restarts: Restarts) -> None:
    loop = asyncio.get_running_loop()
    ear = listener.listen(Path(config.runtime.socket))
    metrics_server = None
    try:
        link = Link(config, ear)
        if config.runtime.metrics_port is not None:
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
