"""`roomtone demo`: the whole chain on one machine, until Ctrl-C or for `--seconds`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.config.settings import Node
from edge.util.errors import UserError
from provisioning.demo import broker, playback_dirs
from provisioning.demo.event_printer import Watcher
from provisioning.demo.playback_dirs import Room
from provisioning.demo.supervisor import Child, wait_ready

EPILOG = """examples:
  ./run demo                              recorded voices in three rooms (Debian's pocketsphinx-testdata)
  ./run demo --mic                        your microphone
  ./run demo --playback ~/recordings      a folder of WAV, FLAC or Opus files, played in real time
  ./run demo --playback a --playback b --speed 4
                                          two rooms at once, four times as fast
  ./run demo --seconds 60 --json          events as JSON lines, then a summary; exit status 0 if events came back
"""

START_TIMEOUT_S = 90.0
MISSING = "-> lost"
"""What an ear says when it is up and has no microphone."""
MAX_RESTARTS = 3
"""A child that died more often is not well, whatever else arrived."""


def register(commands: Any) -> None:
    """Adds `roomtone demo`."""
    parser = commands.add_parser(
        "demo",
        help="the whole chain on this machine: broker, page, and an ear and a link for each room",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mic",
        action="append",
        nargs="?",
        const="",
        default=[],
        metavar="DEVICE",
        help="listen to a microphone (a name of `roomtone devices`; without one: the default)",
    )
    parser.add_argument(
        "--playback",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="play the recordings of a folder; may be given several times",
    )
    parser.add_argument(
        "--speed", type=number(100), default=1.0, metavar="N", help="play N times as fast (default: 1)"
    )
    parser.add_argument("--once", action="store_true", help="play each folder once and do not begin again")
    parser.add_argument(
        "--seconds", type=number(86_400), metavar="N", help="end after N seconds of listening, with a summary"
    )
    parser.add_argument("--model", default="base", metavar="BUNDLE", help="the model bundle (default: base)")
    parser.add_argument(
        "--port", type=port, default=8080, help="port of the page (default: 8080, or a free one)"
    )
    parser.add_argument(
        "--mqtt-port", type=port, default=1883, help="port of the broker (default: 1883, or a free one)"
    )
    parser.add_argument(
        "--embedded-broker", action="store_true", help="use the broker from PyPI even if mosquitto is there"
    )
    parser.add_argument("--json", action="store_true", help="print events and the summary as JSON lines")
    parser.add_argument("--verbose", action="store_true", help="show what every process says")
    parser.set_defaults(run=run)


def number(most: float) -> Callable[[str], float]:
    """Reads a number above 0 and at most `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be a number above 0 and at most {most:g}, not '{text}'")
        return value

    return read


def port(text: str) -> int:
    """Reads a port; 0: a free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, or 0 for a free one, not '{text}'")
    return int(text)


class Demo:
    """Everything that runs, and how it is started and stopped."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.options = options
        self.scratch = scratch
        self.stopping = threading.Event()
        self.children: list[Child] = []
        self.watcher: Watcher | None = None
        self.nodes: list[str] = []
        self.listened_s = 0.0
        self.env = os.environ | {"PYTHONUNBUFFERED": "1"}

    def say(self, text: str) -> None:
        """For people; machines get JSON on standard output alone."""
        print(text, file=sys.stderr if self.options.json else sys.stdout, flush=True)

    def child(self, name: str, argv: list[str], **keywords: Any) -> Child:
        """A supervised child, not yet started."""
        child = Child(name, argv, self.env, on_line=self._on_line, **keywords)
        self.children.append(child)
        return child

    def _on_line(self, name: str, line: str) -> None:
        if self.options.verbose or "WARNING" in line or "ERROR" in line:
            print(f"  [{name}] {line}", file=sys.stderr, flush=True)

    def run(self) -> None:
        """From the first process to the summary."""
        options = self.options
        the_rooms = playback_dirs.from_options(
            options.mic, options.playback, options.speed, loop=not options.once, scratch=self.scratch
        )
        port = broker.free_port(options.mqtt_port)
        self._start_broker(port)
        names = {room.node: room.name for room in the_rooms}
        self.nodes = list(names)
        self.watcher = Watcher(port, Node().base_topic, names, as_json=options.json)
        if not self.watcher.connected.wait(10):
            raise UserError("the broker does not answer; try `./run demo --embedded-broker`")
        page = self._start_parts(the_rooms, port)
        if self.stopping.is_set():
            return
        self.say(f"\n  Page    {page}  (no login: it answers to this machine only)")
        self.say(f"  Events  mosquitto_sub -p {port} -v -t 'roomtone/+/event'")
        self.say(
            "  Ctrl-C ends it.\n" if options.seconds is None else f"  Ends after {options.seconds:g} s.\n"
        )
        self._listen()

    def _start_broker(self, port: int) -> None:
        name, argv = broker.command(port, self.scratch, embedded=self.options.embedded_broker)
        child = self.child("broker", argv, ready_words=())
        child.start()
        deadline = time.monotonic() + 10
        while not broker.accepts(port):
            dead = child.process is not None and child.process.poll() is not None
            if dead or time.monotonic() > deadline:
                raise UserError(f"the broker did not start: {child.why_it_died()}")
            self.stopping.wait(0.05)
        self.say(f"  broker     {name} on 127.0.0.1:{port}")

    def _start_parts(self, the_rooms: list[Room], port: int) -> str:
        roomtone = [sys.executable, "-m", "edge.cli.main"]
        page_port = broker.free_port(self.options.port)
        dashboard = self.child(
            "dashboard",
            [*roomtone, "dashboard", "--port", str(page_port), "--broker", f"mqtt://127.0.0.1:{port}"],
        )
        parts = [dashboard]
        dashboard.start()
        for room in the_rooms:
            config = str(playback_dirs.write_config(room, port, self.options.model, self.scratch))
            once = self.options.once and room.audio["source"] == "playback"
            parts.append(self.child(f"link {room.node}", [*roomtone, "link", "--config", config]))
            # Without a microphone an ear is up as well: it says so, and waits for one.
            ready = ("ready after", MISSING)
            ear = [*roomtone, "ear", "--config", config]
            parts.append(self.child(f"ear {room.node}", ear, may_end=once, ready_words=ready))
        for part in parts[1:]:
            part.start()
        failed = wait_ready(parts, START_TIMEOUT_S, self._is_up, self.stopping)
        if failed is not None:
            raise UserError(f"{failed.name} did not start: {failed.why_it_died()}")
        return f"http://127.0.0.1:{page_port}/"

    def _is_up(self, child: Child) -> None:
        missing = next((line for line in child.last_lines if MISSING in line), None)
        if missing is None:
            self.say(f"  {child.name:<10} is up")
        else:
            self.say(f"  {child.name:<10} hears nothing yet: {missing.partition(MISSING)[2].strip(' ()')}")

    def _listen(self) -> None:
        began = time.monotonic()
        while not self.stopping.wait(0.2):
            now = time.monotonic()
            self.listened_s = now - began
            if self.options.seconds is not None and self.listened_s >= self.options.seconds:
                return
            for child in self.children:
                news = child.check(now)
                if news:
                    self.say(f"  {news}")
            ears = [child for child in self.children if child.name.startswith("ear ")]
            if ears and all(child.ended for child in ears):
                return

    def stop(self) -> None:
        """Ears first, so that what they heard last still arrives; then links, page and broker."""
        order = ("ear", "link", "dashboard", "broker")
        for kind in order:
            group = [child for child in self.children if child.name.split()[0] == kind]
            if kind == "broker" and self.watcher is not None:
                self.watcher.close()
            threads = [threading.Thread(target=child.stop) for child in group]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def summary(self) -> dict[str, Any]:
        """What came back from the broker."""
        watcher = self.watcher
        counts: dict[str, dict[str, int]] = {node: {} for node in self.nodes}
        if watcher is not None:
            counts |= {node: dict(c) for node, c in watcher.counts.items()}
        return {
            "seconds": round(self.listened_s, 1),
            "events": 0 if watcher is None else watcher.received(),
            "missing": 0 if watcher is None else watcher.missing(),
            "malformed": 0 if watcher is None else watcher.malformed,
            "restarts": sum(child.restarts for child in self.children),
            "rooms": counts,
        }


def run(options: argparse.Namespace) -> int:
    """Runs the demo; status 0 only if events were published and came back from the broker, all of them."""
    scratch = Path(tempfile.mkdtemp(prefix="roomtone-"))
    demo = Demo(options, scratch)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: demo.stopping.set())
    try:
        demo.run()
    finally:
        try:
            demo.stop()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    summary = demo.summary()
    _print_summary(demo, summary)
    steady = all(child.restarts <= MAX_RESTARTS for child in demo.children)
    good = steady and summary["events"] > 0 and summary["missing"] == 0 and summary["malformed"] == 0
    return 0 if good or (options.seconds is None and not options.once) else 1


def _print_summary(demo: Demo, summary: dict[str, Any]) -> None:
    if demo.options.json:
        print(msgspec.json.encode({"summary": summary}).decode(), flush=True)
        return
    demo.say(
        f"\n{summary['events']} events in {summary['seconds']:.0f} s came back from the broker, "
        f"{summary['missing']} missing, {summary['malformed']} malformed, {summary['restarts']} restarts"
    )
    for node, counts in sorted(summary["rooms"].items()):
        parts = ", ".join(f"{n} {label}" for label, n in sorted(counts.items(), key=lambda kv: -kv[1]))
        demo.say(f"  {node}: {parts or 'nothing'}")
    if summary["events"] == 0:
        demo.say(
            "No event came. Is somebody speaking, and does `roomtone doctor` find the model and the microphone?"
        )
