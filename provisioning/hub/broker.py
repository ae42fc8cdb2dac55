"""`roomtone hub broker`: mosquitto, restarted when `roomtone fleet` has put new files beside its configuration.

mosquitto reads rights and revocations at its start, and `fleet` may neither be allowed to restart a service nor be in
the same container. So this process watches one file, `generation`.

mosquitto ends without a word where it cannot load its own database: too large for `memory_limit`, or damaged. After
two starts that fail so the database is set aside (`mosquitto.db.set-aside`), and the broker starts with an empty one:
devices publish what is retained again when they reconnect, and what waited for clients that were away is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.util.atomic_file import write
from edge.util.child_processes import ended_with_parent
from edge.util.errors import UserError, reason
from edge.util.local_ports import accepts_connections, find_server
from edge.util.service.stop_signals import call_on_signals
from provisioning.hub.denials import Denials, follow

WATCH_S: Final = 0.1
STOP_S: Final = 10.0
"""How long mosquitto may take to write its database."""
START_S: Final = 30.0
"""How long it may take to read it."""
FAILED_STARTS: Final = 2
AGAIN_S: Final = 2.0
"""Between two starts of a broker that ends by itself."""
GENERATION: Final = "generation"
DATABASE: Final = "mosquitto.db"
SET_ASIDE: Final = "mosquitto.db.set-aside"
USER: Final = "mosquitto"
"""Whom the broker runs as where this process is root's."""


def register(verbs: Any) -> None:
    """Add `broker` to the commands of `roomtone hub`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "broker",
        help="mosquitto of a site, restarted when `roomtone fleet` changes its files",
        description="Runs mosquitto and restarts it when `roomtone fleet` has put new files in place.",
        epilog="examples:\n  roomtone hub broker --dir /etc/mosquitto/roomtone --listen 127.0.0.1\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dir", type=Path, required=True, metavar="DIR", help="folder that `fleet deploy` writes"
    )
    parser.add_argument(
        "--listen", default="", metavar="ADDRESS", help="listen on this address only (default: on all)"
    )
    parser.add_argument(
        "--denials",
        type=Path,
        metavar="FILE",
        help="write what mosquitto refuses, by client, to this file (roomtone dashboard --broker-denials)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP. Raises `UserError`."""
    stopping = threading.Event()
    call_on_signals(stopping.set, hang_up=True)
    broker = SupervisedBroker(options.dir.absolute(), options.listen, options.denials)
    broker.start()
    try:
        while not stopping.wait(WATCH_S):
            broker.check()
    finally:
        broker.stop()
    return 0


class SupervisedBroker:
    """mosquitto on the files of a folder. Raises `UserError` where it cannot be run at all."""

    def __init__(self, folder: Path, listen: str = "", denials_file: Path | None = None) -> None:
        self._folder = folder
        self._listen = listen
        self._denials_file = denials_file
        self._denials = Denials()
        self._reader: threading.Thread | None = None
        found = find_server("mosquitto")
        if found is None:
            raise UserError("no mosquitto: install it with `sudo apt install mosquitto`")
        self._program = found
        self._process: subprocess.Popen[bytes] | None = None
        self._generation = b""
        self._failed = 0
        self._not_before = 0.0

    @property
    def pid(self) -> int:
        """Process id of mosquitto; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start mosquitto, and wait until it accepts connections or has ended."""
        self._generation = self._read_generation()
        config = self._config()
        port = int(_setting(config, "listener").split()[0])
        self._process = self._run(config)
        end = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < end:
            if accepts_connections(port):
                self._failed = 0
                print_line("ready")
                return
            time.sleep(WATCH_S / 2)
        self._failed += 1
        if self._process.poll() is None:
            self.stop()

    def check(self) -> None:
        """Restart mosquitto when its files have changed, or when it has ended."""
        if self._read_generation() not in (b"", self._generation):
            print_line("[broker_restart] its files have changed")
            self.stop()
            self.start()
        elif self._process is None or self._process.poll() is not None:
            self._start_again()
        if self._denials_file is not None:
            try:
                self._denials.save(self._denials_file)
            except OSError as error:
                print_line(f"[broker_denials] {self._denials_file}: {reason(error)}")
                self._denials_file = None

    def stop(self) -> None:
        """End mosquitto with SIGTERM: it writes its database."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._reader is not None:
            self._reader.join(STOP_S)

    def _run(self, config: Path) -> subprocess.Popen[bytes]:
        """Start mosquitto; where denials are counted, with all lines of its log, which a thread reads."""
        command = [*_as_user(config), self._program, "-c", str(config)]
        if self._denials_file is None:
            return subprocess.Popen(command)
        process = subprocess.Popen([*command, "-v"], stderr=subprocess.PIPE)
        assert process.stderr is not None
        self._reader = threading.Thread(target=follow, args=(process.stderr, self._denials), daemon=True)
        self._reader.start()
        return process

    def _start_again(self) -> None:
        now = time.monotonic()
        if now < self._not_before:
            return
        self._not_before = now + AGAIN_S
        print_line("[broker_ended] mosquitto has ended; starting it again")
        if self._failed >= FAILED_STARTS:
            self._set_database_aside()
        self.start()

    def _set_database_aside(self) -> None:
        data = Path(_setting(self._config(), "persistence_location"))
        with contextlib.suppress(FileNotFoundError):
            (data / DATABASE).replace(data / SET_ASIDE)
            print_line(f"[broker_database] mosquitto cannot load its database: it is {data / SET_ASIDE} now")

    def _read_generation(self) -> bytes:
        try:
            return (self._folder / GENERATION).read_bytes()
        except OSError:
            return b""

    def _config(self) -> Path:
        """Return the configuration, with `--listen` a copy of it beside the database."""
        path = self._folder / "mosquitto.conf"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            raise UserError(
                f"{path} cannot be read: `roomtone hub setup` or `roomtone fleet deploy` makes it"
            ) from None
        if not self._listen:
            return path
        text = re.sub(r"^listener (\d+)$", rf"listener \1 {self._listen}", text, flags=re.MULTILINE)
        copy = Path(_setting(path, "persistence_location")) / "mosquitto.conf"
        write(copy, text, 0o644)
        return copy


def _setting(config: Path, name: str) -> str:
    found = re.search(rf"^{name} (.+)$", config.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise UserError(f"{config}: `{name}` is missing")
    return found[1].strip()


def _as_user(config: Path) -> list[str]:
    """Return what runs a program as the broker's user where we are root, and ends it with us. Raises `UserError`."""
    command = ended_with_parent(USER)
    if os.geteuid() != 0 or not command:
        return command
    done = subprocess.run([*command, "test", "-r", str(config)], capture_output=True, check=False)
    if done.returncode:
        raise UserError(
            f"as root the broker runs as the user `{USER}`, who cannot read {config}: choose another folder, "
            "such as --dir /var/lib/roomtone-hub, or run this as an ordinary user"
        )
    return command


def print_line(text: str) -> None:
    """Print a line to standard error in one write.

    `print` makes two where Python is unbuffered, and a line of mosquitto, which has the same pipe, gets in between.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
