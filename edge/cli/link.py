"""`roomtone link`: publishes the messages of the ear over MQTT. Heavy modules are imported when it runs."""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from edge.config.options import add_config_options, config_from

EPILOG: Final = """examples:
  roomtone link --config /etc/roomtone/roomtone.toml
  roomtone link --set mqtt.host=hub.local --set runtime.socket=/tmp/link.sock
  roomtone link --forget        after the link was stopped: remove this device from broker and Home Assistant
"""


def register(subparsers: Any) -> None:
    """Add `roomtone link`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "link",
        help="publish the messages of the ear over MQTT (no microphone in this process)",
        description="Takes validated messages from the ear's socket and publishes them over MQTT until SIGTERM.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_options(parser)
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove the retained messages of this device from the broker, also from Home Assistant, and exit; "
        "stop the link first",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the link until SIGTERM or SIGINT. Raises `UserError` for errors that no retry can cure."""
    started = time.monotonic()
    import asyncio

    from edge.mqtt import tls
    from edge.mqtt.address import from_config
    from edge.util import journal
    from edge.util.service.restarts import wait_before_start

    config = config_from(options)
    journal.configure("link", config.runtime.log_level)
    if options.forget:
        from edge.link.forget import forget

        tls.check(from_config(config))
        for name in forget(config):
            print(f"removed: {name}")
        return 0
    restarts = wait_before_start()
    tls.check(from_config(config))

    from edge.link.serve import serve

    asyncio.run(serve(config, started, restarts))
    restarts.clear()
    return 0
