"""`roomtone hub run`: broker, recorder, dashboard and TLS proxy on this machine, without Docker."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from dashboard.admin import setup
from edge.util.child_processes import ChildProcess, wait_ready
from edge.util.errors import UserError
from edge.util.local_ports import accepts_connections, find_server, free_port

START_S: Final = 60.0
CERTIFICATES_S: Final = 10.0
CADDYFILE: Final = Path(__file__).parents[2] / "docker" / "proxy" / "Caddyfile"


def register(verbs: Any) -> None:
    """Adds the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "run",
        help="broker, recorder, dashboard and TLS proxy on this machine, until Ctrl-C",
        description="Runs a whole hub from Debian's mosquitto and caddy, without Docker.",
    )
    setup.add_place(parser)
    parser.add_argument(
        "--lan",
        action="store_true",
        help="let boxes and browsers of the network in (default: this machine only)",
    )
    parser.add_argument("--https-port", type=int, default=8443, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--database", metavar="URL", help="(default: SQLite in DIR/data)")
    parser.add_argument(
        "--try-it", action="store_true", help="have the page even behind a public certificate"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs until it is told to end. Raises `UserError`."""
    mosquitto = find_server("mosquitto")
    if mosquitto is None:
        raise UserError("no mosquitto: install it with `sudo apt install mosquitto`")
    folder: Path = options.dir.absolute()
    setup.prepare(folder, options.host, options.mqtt_port, own_broker="127.0.0.1")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    parts, page = _parts(options, folder, mosquitto)
    try:
        for part in parts:
            part.start()
            failed = wait_ready([part], START_S, lambda _: None, stopping)
            if failed is None and part.name == "broker" and not _answers(part, options.mqtt_port, stopping):
                failed = part
            if failed is not None:
                raise UserError(f"{failed.name} did not start: {failed.last_error()}")
        if parts[-1].name == "proxy":
            _wait_for_certificates([*options.host, "localhost", ""], options.https_port, stopping)
        if not stopping.is_set():
            _announce(options, folder, page)
        while not stopping.wait(0.5):
            for part in parts:
                if news := part.check(time.monotonic()):
                    print(f"  {news}", file=sys.stderr, flush=True)
    finally:
        # The proxy first and the broker last, so that nothing that was heard is lost.
        for part in reversed(parts):
            part.stop()
    return 0


def _announce(options: argparse.Namespace, folder: Path, page: str) -> None:
    name = options.host[0] if options.host else "localhost"
    print(f"\n  Page    {page}\n  Broker  mqtts://{name}:{options.mqtt_port}", flush=True)
    print(f"  A box   roomtone fleet --site {folder}/site enrol kitchen", flush=True)
    if page.startswith("http:"):
        print("  No caddy here: only this machine reaches the page. `sudo apt install caddy`", flush=True)
    if not options.lan:
        print("  Only this machine is let in; --lan opens it to the network.", flush=True)


def _parts(options: argparse.Namespace, folder: Path, mosquitto: str) -> tuple[list[ChildProcess], str]:
    """The processes in the order in which they start, and where the page is."""
    caddy = shutil.which("caddy")
    port = free_port(8080)
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    roomtone = [sys.executable, "-m", "edge.cli.main"]
    data = ["--database", options.database or f"sqlite:///{folder}/data/roomtone.db"]
    page = [
        *roomtone,
        "dashboard",
        "--port",
        str(port),
        *data,
        "--join",
        str(folder / "dashboard"),
        "--login",
    ]
    page += ["--updates", str(folder / "updates")]
    page += ["--proxy", "127.0.0.1"] if caddy else []
    page += ["--try-it"] if options.try_it else []
    record = [*roomtone, "recorder", *data, "--join", str(folder / "recorder")]
    listen = _broker(folder, lan=options.lan)
    parts = [
        ChildProcess("broker", [mosquitto, "-c", str(listen)], env, (), _say),
        ChildProcess("recorder", record, env, ("ready",), _say),
        ChildProcess("dashboard", page, env, ("ready",), _say),
    ]
    if caddy is None:
        return parts, f"http://127.0.0.1:{port}/"
    hosts = [*options.host, "localhost", "127.0.0.1"]
    own = {
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "data"),
        "ROOMTONE_HOSTS": ", ".join(f"https://{host}" for host in dict.fromkeys(hosts)),
        "ROOMTONE_DEFAULT_SNI": hosts[0],
        "ROOMTONE_BIND": "0.0.0.0" if options.lan else "127.0.0.1",
        "ROOMTONE_HTTP_PORT": str(free_port(8081)),
        "ROOMTONE_HTTPS_PORT": str(options.https_port),
        "ROOMTONE_DASHBOARD": f"127.0.0.1:{port}",
        "ROOMTONE_CADDY_DATA": str(folder / "data" / "caddy"),
    }
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)]
    parts.append(ChildProcess("proxy", command, env | own, ("serving initial configuration",), _of_note))
    return parts, f"https://{hosts[0]}:{options.https_port}/"


def _answers(broker: ChildProcess, port: int, stopping: threading.Event) -> bool:
    """mosquitto says nothing when it is up."""
    end = time.monotonic() + START_S
    while not accepts_connections(port) and not stopping.wait(0.1):
        if broker.process is None or broker.process.poll() is not None or time.monotonic() > end:
            return False
    return broker.process is not None and broker.process.poll() is None


def _wait_for_certificates(hosts: list[str], port: int, stopping: threading.Event) -> None:
    """Caddy serves before its own authority has signed for every name: until then it ends the handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + CERTIFICATES_S
    for host in hosts:
        while time.monotonic() < end and not stopping.is_set():
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                    context.wrap_socket(plain, server_hostname=host or None),
                ):
                    break
            except OSError:
                stopping.wait(0.1)


def _broker(folder: Path, *, lan: bool) -> Path:
    """The site's configuration, as it is but for the address that it listens on and root, which it would give up."""
    text = (folder / "broker" / "mosquitto.conf").read_text(encoding="utf-8")
    if not lan:
        text = re.sub(r"^listener (\d+)$", r"listener \1 127.0.0.1", text, flags=re.MULTILINE)
    if os.geteuid() == 0:
        text = "user root\n" + text
    place = folder / "data" / "mosquitto.conf"
    place.write_text(text, encoding="utf-8")
    return place


def _say(name: str, line: str) -> None:
    print(f"[{name}] {line}", file=sys.stderr, flush=True)


def _of_note(name: str, line: str) -> None:
    """Caddy says much; of interest is what goes wrong."""
    if '"level":"error"' in line or '"level":"fatal"' in line or line.startswith("Error"):
        _say(name, line)
