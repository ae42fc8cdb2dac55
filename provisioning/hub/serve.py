"""`roomtone hub run`: broker, recorder, dashboard and TLS proxy on this machine, without Docker."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.util.child_processes import ChildProcess, wait_ready
from edge.util.errors import UserError
from edge.util.local_ports import find_server, free_port
from edge.util.service.stop_signals import call_on_signals
from edge.util.text.terminal import printable
from provisioning.fleet import deployment
from provisioning.fleet import site as sites
from provisioning.hub import addresses, run_options, setup, welcome
from provisioning.hub.welcome import FirstPassword, Hub

START_TIMEOUT_S: Final = 60.0
CERTIFICATES_TIMEOUT_S: Final = 10.0
OWN_BROKER: Final = "127.0.0.1"
"""Where the programs of the hub reach its broker."""
ROOMTONE: Final = (sys.executable, "-m", "edge.cli.main")
CADDYFILE: Final = Path(__file__).with_name("Caddyfile")
_MOSQUITTO: Final = re.compile(r"\d+: (?P<text>.*)")
"""mosquitto's own lines begin with a time."""
_LOCK: Final = '"msg":"unable to clean up lock"'
"""Of caddy, which is ended while it obtains a certificate and cleans the same lock up twice: it is gone."""
_ROUTINE: Final = re.compile(r"ready\b|(?:DEBUG|INFO) ")


def register(verbs: Any) -> None:
    """Add `run` to the commands of `roomtone hub`."""
    run_options.add_parser(verbs, "run").set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP. Raises `UserError`."""
    if find_server("mosquitto") is None:
        raise UserError("no mosquitto: install it with `sudo apt install mosquitto`")
    folder: Path = options.dir.absolute()
    hosts, port = _prepare(options, folder)
    stopping = threading.Event()
    call_on_signals(stopping.set, hang_up=True)
    password = welcome.FirstPassword()
    processes, page = _processes(options, folder, hosts, port, password)
    try:
        for process in processes:
            process.start()
            failed = wait_ready([process], START_TIMEOUT_S, lambda _: None, stopping)
            if failed is not None:
                raise UserError(f"{failed.name} did not start: {failed.last_error()}")
            if process.name == "broker" and not stopping.is_set():
                with sites.open_site(folder / "site") as site:
                    deployment.prove(site)
        if processes[-1].name == "proxy":
            _wait_for_certificates([*hosts, ""], options.https_port, stopping)
        if not stopping.is_set():
            welcome.announce(Hub(folder, page, _broker_url(hosts, port), options.lan), password)
        while not stopping.wait(0.5):
            for process in processes:
                if message := process.check(time.monotonic()):
                    print(f"  {message}", file=sys.stderr, flush=True)
    finally:
        # Also where the hub did not come up: the password exists, and is not shown again.
        print(password.framed(page), end="", file=sys.stderr, flush=True)
        # The proxy first and the broker last, so that no event is lost.
        for process in reversed(processes):
            process.stop()
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what can never work, before anything is made and before the ports of another hub. Raises `UserError`."""
    run_options.check(options)
    passed_on = _options_of_pages(options)
    if options.database is not None:
        passed_on += ["--database", options.database]
    if passed_on:
        # The dashboard knows what they may be; it is not loaded into this process.
        command = [*ROOMTONE, "dashboard", "--check-options", *passed_on]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["the dashboard cannot be started"])[-1]
            raise UserError(last.removeprefix("roomtone: "))


def _options_of_pages(options: argparse.Namespace) -> list[str]:
    """Options of `roomtone dashboard` that are passed on as they are."""
    found = [part for address in options.notify for part in ("--notify", address)]
    found += ["--smtp", options.smtp] if options.smtp else []
    return found + (["--mail-from", options.mail_from] if options.mail_from else [])


def _prepare(options: argparse.Namespace, folder: Path) -> tuple[list[str], int]:
    """Create or change what the options say; return the names of this hub and the broker's port. Raises `UserError`."""
    _check_options(options)
    site = folder / "site"
    is_known = (site / "ca.key").exists()
    known, port = addresses.hosts_of(site) if is_known else ([], run_options.DEFAULT_PORT)
    run_options.check_ports(options, options.mqtt_port or port)
    addresses.require_same_pages(site, [*options.host, *known], options.https_port)
    setup.prepare(folder, options.host, options.mqtt_port, own_broker=OWN_BROKER)
    return addresses.hosts_of(site)


def _broker_url(hosts: list[str], port: int) -> str:
    return f"mqtts://{hosts[0]}:{port}"


def _processes(
    options: argparse.Namespace, folder: Path, hosts: list[str], broker_port: int, password: FirstPassword
) -> tuple[list[ChildProcess], str]:
    """Return the processes in the order of their start, and the URL of the page."""
    caddy = shutil.which("caddy")
    # Behind the proxy no user types it, and 8080 is that of an installed hub's pages.
    port = free_port(0 if caddy else 8080)
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    data = ["--database", options.database or f"sqlite:///{folder}/data/roomtone.db"]
    page = [
        *ROOMTONE,
        "dashboard",
        "--port",
        str(port),
        *data,
        "--join",
        str(folder / "dashboard"),
        "--login",
    ]
    page += ["--updates", str(folder / "updates"), "--enrol", welcome.enrol_command(folder)]
    page += ["--device-broker", _broker_url(hosts, broker_port)] if options.lan else []
    page += ["--proxy", "127.0.0.1"] if caddy else []
    page += ["--try-it"] if options.try_it else []
    page += ["--guest-links"] if options.guest_links else []
    page += _options_of_pages(options)
    record = [*ROOMTONE, "recorder", *data, "--join", str(folder / "recorder")]
    listen = [] if options.lan else ["--listen", "127.0.0.1"]
    denials = str(folder / "data" / "broker-denials.json")
    page += ["--broker-denials", denials]
    broker = [*ROOMTONE, "hub", "broker", "--dir", str(folder / "broker"), "--denials", denials, *listen]
    on_line = _print_line if options.verbose else _print_what_needs_attention
    processes = [
        ChildProcess("broker", broker, env, ("ready",), on_line),
        ChildProcess("recorder", record, env, ("ready",), on_line),
        ChildProcess("dashboard", page, env, ("ready",), _without_password(on_line, password)),
    ]
    if caddy is None:
        return processes, f"http://127.0.0.1:{port}/"
    own = {
        "XDG_DATA_HOME": str(folder / "data"),
        # Caddy's authority would otherwise leave ~/.step in the user's home.
        "STEPPATH": str(folder / "data" / "step"),
        "XDG_CONFIG_HOME": str(folder / "data"),
        "ROOMTONE_HOSTS": ", ".join(f"https://{host}" for host in hosts),
        "ROOMTONE_DEFAULT_SNI": hosts[0],
        "ROOMTONE_BIND": "0.0.0.0" if options.lan else "127.0.0.1",
        "ROOMTONE_HTTP_PORT": str(free_port(8081)),
        "ROOMTONE_HTTPS_PORT": str(options.https_port),
        "ROOMTONE_DASHBOARD": f"127.0.0.1:{port}",
        "ROOMTONE_CADDY_DATA": str(folder / "data" / "caddy"),
    }
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)]
    processes.append(ChildProcess("proxy", command, env | own, ("serving initial configuration",), on_line))
    return processes, f"https://{hosts[0]}:{options.https_port}/"


def _without_password(
    on_line: Callable[[str, str], None], password: FirstPassword
) -> Callable[[str, str], None]:
    """Pass on all lines but those of the first password, which is shown in a frame."""

    def pass_on(name: str, line: str) -> None:
        if not password.take(line):
            on_line(name, line)

    return pass_on


def _wait_for_certificates(hosts: list[str], port: int, stopping: threading.Event) -> None:
    """Wait until caddy has a certificate for each name; before, it aborts the handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + CERTIFICATES_TIMEOUT_S
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


def _print_line(name: str, line: str) -> None:
    print(printable(f"[{name}] {line}"), file=sys.stderr, flush=True)


def _print_what_needs_attention(name: str, line: str) -> None:
    if needs_attention(name, line):
        _print_line(name, line)


def needs_attention(name: str, line: str) -> bool:
    """Whether a line of a program of the hub is for the user who started it: warnings, errors, passwords, restarts.

    Not each connection and subscription of the broker, and of caddy's log only the errors.
    """
    if name == "proxy":
        if _LOCK in line:
            return False
        return '"level":"error"' in line or '"level":"fatal"' in line or line.startswith("Error")
    if name == "broker" and (logged := _MOSQUITTO.match(line)):
        return logged["text"].startswith(("Error", "Warning"))
    return bool(line.strip()) and not _ROUTINE.match(line)
