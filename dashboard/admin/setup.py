"""`roomtone hub setup`: everything that a hub's broker, recorder and dashboard need, in one folder.

    site/        the authority (`roomtone fleet`): only whoever enrols boxes needs it
    broker/      configuration, certificate and access list of mosquitto
    dashboard/   the certificate of an operator
    recorder/    the certificate of a recorder
    data/        the database, and what the broker keeps
    updates/     the repository of models, once `roomtone fleet keys init` has made one

Run again it renews certificates that end soon, and changes nothing else.
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
    """Adds the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "setup",
        help="make a site, and the certificates and configuration of its hub, in one folder",
        description="Makes all that a hub needs in one folder; run again it renews what ends soon.",
    )
    add_place(parser)
    parser.add_argument("--site", type=Path, metavar="DIR", help="where the authority is (default: DIR/site)")
    parser.add_argument(
        "--own-broker",
        metavar="HOST",
        help="how dashboard and recorder reach the broker (default: as boxes do)",
    )
    parser.add_argument(
        "--broker-data", metavar="DIR", help="where mosquitto keeps what waits (default: DIR/data/)"
    )
    parser.set_defaults(run=run)


def add_place(parser: argparse.ArgumentParser) -> None:
    """The folder, and the names of the machine."""
    parser.add_argument("--dir", type=Path, default=Path("hub"), help="(default: ./hub)")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address by which boxes and browsers reach this machine; again for further ones",
    )
    parser.add_argument("--mqtt-port", type=int, default=8883, metavar="N", help="(default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Does it. Raises `UserError`."""
    made = prepare(
        options.dir,
        options.host,
        options.mqtt_port,
        site=options.site,
        own_broker=options.own_broker,
        broker_data=options.broker_data,
    )
    print(f"{options.dir}: {'made' if made else 'is there already'}")
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
    """Makes what is missing; whether the site is new. Raises `UserError`."""
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
            _reach(folder / name / ABOUT, own_broker or "")
    return new


def _reach(about: Path, host: str) -> None:
    """The hub's own programs may reach the broker by another name than the boxes."""
    if host:
        content: dict[str, Any] = json.loads(about.read_bytes())
        write(about, json.dumps(content | {"host": host}).encode(), 0o644)


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
