"""`roomtone hub setup`: everything that a hub's broker, recorder and dashboard need, in one folder.

    site/        the certificate authority (`roomtone fleet`), needed only to enrol devices
    broker/      configuration, certificate and access list of mosquitto
    dashboard/   a client certificate with the role operator
    recorder/    a client certificate with the role recorder
    data/        the database, and the broker's queues
    updates/     the repository of model releases, if `roomtone fleet keys init` has created one

A second run renews certificates that expire soon, and changes nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any, Final

from edge.config.join_file import ABOUT
from edge.util.atomic_file import write
from edge.util.errors import UserError

CLIENTS: Final = (("dashboard", "operator"), ("recorder", "recorder"))


def register(verbs: Any) -> None:
    """Add the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "setup",
        help="create a site with the certificates and the configuration of its hub, in one folder",
        description="Creates everything that a hub needs in one folder; a second run renews what expires soon.",
    )
    add_options(parser)
    parser.add_argument("--site", type=Path, metavar="DIR", help="folder of the site (default: DIR/site)")
    parser.add_argument(
        "--own-broker",
        metavar="HOST",
        help="host by which dashboard and recorder reach the broker (default: as devices do)",
    )
    parser.add_argument(
        "--broker-data", metavar="DIR", help="folder for mosquitto's queues (default: DIR/data/)"
    )
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the folder and the names of the machine."""
    parser.add_argument("--dir", type=Path, default=Path("hub"), help="(default: ./hub)")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address by which devices and browsers reach this machine; can be given more than once",
    )
    parser.add_argument("--mqtt-port", type=int, default=8883, metavar="N", help="(default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Create or renew. Raises `UserError`."""
    created = prepare(
        options.dir,
        options.host,
        options.mqtt_port,
        site=options.site,
        own_broker=options.own_broker,
        broker_data=options.broker_data,
    )
    print(f"{options.dir}: {'created' if created else 'exists already'}")
    return 0


def prepare(
    folder: Path,
    hosts: list[str],
    port: int,
    *,
    site: Path | None = None,
    own_broker: str | None = None,
    broker_data: str | None = None,
) -> bool:
    """Create what is missing; return whether the site is new. Raises `UserError`."""
    site = site or folder / "site"
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    (folder / "data").mkdir(mode=0o750, exist_ok=True)
    new = not (site / "ca.key").exists()
    if new:
        names = [
            word
            for host in [*(hosts or ["localhost"]), "localhost", "127.0.0.1"]
            for word in ("--broker", host)
        ]
        if own_broker:
            names += ["--broker", own_broker]
        _roomtone("fleet", "--site", str(site), "init", *names, "--port", str(port))
        deploy = ("--to", str(folder / "broker"), "--data", broker_data or f"{(folder / 'data').absolute()}/")
        owner = ("--owner", str(os.getuid()), "--reload", "", "--restart", "")
        _roomtone("fleet", "--site", str(site), "deploy", *deploy, *owner)
    else:
        _roomtone("fleet", "--site", str(site), "renew", "--due")
    for name, role in CLIENTS:
        joined = site / "joins" / f"{role}.{name}.join"
        if not (folder / name / ABOUT).exists() and not joined.exists():
            _roomtone("fleet", "--site", str(site), "enrol", name, "--role", role, "--out", str(joined))
        if joined.exists():
            _roomtone("join", str(joined), "--to", str(folder / name))
            joined.unlink()
            _set_broker_host(folder / name / ABOUT, own_broker or "")
    return new


def _set_broker_host(join_info: Path, host: str) -> None:
    """Set the host by which the hub's own programs reach the broker, if it is not that of the devices."""
    if host:
        content: dict[str, Any] = json.loads(join_info.read_bytes())
        write(join_info, json.dumps(content | {"host": host}).encode(), 0o644)


def _roomtone(*words: str) -> None:
    """One of our own commands, in this process. Raises `UserError` with what it said."""
    from edge.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(list(words))
    if status != 0:
        raise UserError(
            said.getvalue().strip().removeprefix("roomtone: ") or f"`roomtone {' '.join(words)}` failed"
        )
