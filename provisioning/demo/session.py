"""One run of the demo: which processes it consists of, in which order they start and stop, and what came back."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from edge.config.settings import Node
from edge.util.child_processes import ChildProcess, wait_ready
from edge.util.errors import UserError
from edge.util.local_ports import accepts_connections, free_port
from edge.util.text.terminal import printable
from provisioning.demo import broker, playback_dirs
from provisioning.demo.event_printer import EventPrinter
from provisioning.demo.playback_dirs import Room
from provisioning.demo.sample_history import SampleHistory

ROOMTONE: Final = (sys.executable, "-m", "edge.cli.main")
START_TIMEOUT_S: Final = 180.0
BROKER_TIMEOUT_S: Final = 10.0
NO_MICROPHONE: Final = "-> lost"
"""What an ear logs when it has started and has no microphone."""
STOP_ORDER: Final = ("ear", "link", "dashboard", "recorder", "broker")


class DemoSession:
    """Starts broker, recorder and dashboard, and an ear and a link for each room; watches and stops them."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        """`options`: the parsed command line; `scratch`: an empty folder, removed by the caller afterwards."""
        self.options = options
        self.scratch = scratch
        self.stopping = threading.Event()
        self.children: list[ChildProcess] = []
        self.printer: EventPrinter | None = None
        self.ready = False
        """Whether all has been started: events can come."""
        self.history: SampleHistory | None = None
        self.nodes: list[str] = []
        self.listened_s = 0.0
        # The token lets this machine's browser into the pages, and the demo itself into their API.
        self.token = secrets.token_urlsafe(16)
        self.env = os.environ | {"PYTHONUNBUFFERED": "1", "ROOMTONE_TOKEN": self.token}

    def print(self, text: str) -> None:
        """Print for people: on standard output, or on standard error beside JSON."""
        print(text, file=sys.stderr if self.options.json else sys.stdout, flush=True)

    def run(self) -> None:
        """Start everything and listen until `stopping` is set or `--seconds` have passed. Raises `UserError`."""
        options = self.options
        rooms = playback_dirs.from_options(
            options.mic, options.playback, options.speed, loop=not options.once, scratch=self.scratch
        )
        broker_port = free_port(options.mqtt_port)
        self._start_broker(broker_port)
        names = {room.node: room.name for room in rooms}
        self.nodes = list(names)
        self.printer = EventPrinter(broker_port, Node().base_topic, names, as_json=options.json)
        if not self.printer.connected.wait(BROKER_TIMEOUT_S):
            raise UserError("the broker does not answer; try `./run demo --embedded-broker`")
        page = self._start_processes(rooms, broker_port)
        if self.stopping.is_set():
            return
        self.ready = True
        if self.history is not None:
            self.history.start()
        self._print_addresses(page, broker_port, rooms)
        self._listen()

    def _print_addresses(self, page: str, broker_port: int, rooms: list[Room]) -> None:
        subscribe = f"mosquitto_sub -h 127.0.0.1 -p {broker_port} -v -t 'roomtone/+/event'"
        if shutil.which("mosquitto_sub") is None:
            subscribe += "   (after: sudo apt install mosquitto-clients)"
        seconds = self.options.seconds
        self.print(f"  Page    {page}?token={self.token}")
        self.print(f"  Events  {subscribe}")
        self.print(f"  Rooms   {', '.join(room.name for room in rooms)}")
        self.print("  Ctrl-C stops it.\n" if seconds is None else f"  Stops after {seconds:g} s.\n")

    def _child(self, name: str, *argv: str, **keywords: Any) -> ChildProcess:
        child = ChildProcess(name, argv, self.env, on_line=self._on_line, **keywords)
        self.children.append(child)
        return child

    def _on_line(self, name: str, line: str) -> None:
        _, lost, why = line.partition(NO_MICROPHONE)
        if lost and not self.options.verbose:
            text = f"{name}: the microphone is lost: {why.strip().removeprefix('(').removesuffix(')')}"
            print(printable(f"  {text}"), file=sys.stderr, flush=True)
        elif self.options.verbose or "WARNING" in line or "ERROR" in line:
            print(printable(f"  [{name}] {line}"), file=sys.stderr, flush=True)

    def _start_broker(self, port: int) -> None:
        name, argv, user = broker.command(port, self.scratch, embedded=self.options.embedded_broker)
        child = self._child("broker", *argv, ready_words=(), user=user)
        child.start()
        deadline = time.monotonic() + BROKER_TIMEOUT_S
        while not accepts_connections(port):
            dead = child.process is not None and child.process.poll() is not None
            if dead or time.monotonic() > deadline:
                raise UserError(f"the broker did not start: {child.last_error()}")
            self.stopping.wait(0.05)
        self.print(f"  Broker  {name} on 127.0.0.1:{port}; starting the rest ...")

    def _start_processes(self, rooms: list[Room], broker_port: int) -> str:
        """Start all but the broker and wait until they are ready; return the page's address."""
        page_port = free_port(self.options.port)
        page = f"http://127.0.0.1:{page_port}/"
        hub = ["--broker", f"mqtt://127.0.0.1:{broker_port}"]
        if self.options.history:
            database = f"sqlite:///{self.scratch}/demo.db"
            hub += ["--database", database]
            # One recorder: it needs no shared subscription.
            self._child("recorder", *ROOMTONE, "recorder", *hub, "--share", "")
            self.history = SampleHistory(database, page, self.env)
        self._child("dashboard", *ROOMTONE, "dashboard", "--port", str(page_port), *hub)
        for room in rooms:
            config = str(playback_dirs.write_config(room, broker_port, self.options.model, self.scratch))
            self._child(f"link {room.node}", *ROOMTONE, "link", "--config", config)
            once = self.options.once and room.is_playback
            # Without a microphone an ear is ready as well: it logs that and waits for one.
            ready = ("ready after", NO_MICROPHONE)
            ear = (*ROOMTONE, "ear", "--config", config)
            self._child(f"ear {room.node}", *ear, may_exit=once, ready_words=ready)
        started = [child for child in self.children if child.name != "broker"]
        for child in started:
            child.start()
        failed = wait_ready(started, START_TIMEOUT_S, self._on_ready, self.stopping)
        if failed is not None:
            raise UserError(f"{failed.name} did not start: {failed.last_error()}")
        return page

    def _on_ready(self, child: ChildProcess) -> None:
        if self.options.verbose and not any(NO_MICROPHONE in line for line in child.last_lines):
            self.print(f"  {child.name} is ready")

    def _listen(self) -> None:
        started = time.monotonic()
        while not self.stopping.wait(0.2):
            now = time.monotonic()
            self.listened_s = now - started
            if self.options.seconds is not None and self.listened_s >= self.options.seconds:
                return
            for child in self.children:
                message = child.check(now)
                if message:
                    self.print(f"  {message}")
            ears = [child for child in self.children if child.name.startswith("ear ")]
            if ears and all(child.ended for child in ears):
                return

    def stop(self) -> None:
        """Stop all processes: ears first, so that their last events still arrive; the broker last."""
        if self.history is not None:
            self.history.stop()
        for kind in STOP_ORDER:
            group = [child for child in self.children if child.name.split()[0] == kind]
            if kind == "broker" and self.printer is not None:
                self.printer.close()
            threads = [threading.Thread(target=child.stop) for child in group]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def summary(self) -> dict[str, Any]:
        """Return what came back from the broker, by room, and how often processes were restarted."""
        printer = self.printer
        counts: dict[str, dict[str, int]] = {node: {} for node in self.nodes}
        if printer is not None:
            counts |= {node: dict(c) for node, c in printer.counts.items()}
        return {
            "seconds": round(self.listened_s, 1),
            "events": 0 if printer is None else printer.received(),
            "missing": 0 if printer is None else printer.missing(),
            "malformed": 0 if printer is None else printer.malformed,
            "restarts": sum(child.restarts for child in self.children),
            "rooms": counts,
        }
