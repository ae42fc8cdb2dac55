"""Figures of the ear as a whole process: start, memory, CPU share, and end of speech to the event at a subscriber."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import soundfile
from paho.mqtt.enums import CallbackAPIVersion

from edge import protocol
from edge.config.settings import Segmenter
from edge.ear.watchdog import SELF_TEST_PERIOD_S
from edge.util.local_ports import accepts_connections, free_port
from provisioning.demo import broker, playback_dirs
from tests.bench.process import Measured
from tests.bench.sound import RATE, quiet, speech

ROOMTONE = [sys.executable, "-m", "edge.cli.main"]
STARTS = 7
MEMORY = Path("/dev/shm")
"""A file system in memory, as /run is on a device: with a disk's fsync events are some 20 ms later."""


@contextmanager
def runtime_folder() -> Iterator[Path]:
    """A folder for sockets, state and sound: in memory where this machine has such a file system."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="roomtone-bench-", dir=place) as name:
        yield Path(name)


def config(folder: Path, name: str, room: Path, port: int) -> Path:
    """A room's configuration file."""
    audio = {"source": "playback", "playback_dir": str(room), "speed": 1.0, "loop": True}
    return playback_dirs.write_config(playback_dirs.Room(name, name, audio), port, "base", folder)


def ear_figures(folder: Path, seconds: float) -> dict[str, float]:
    """Start, memory and CPU share in silence and in speech."""
    silent, talk = folder / "quiet", folder / "talk"
    silent.mkdir()
    talk.mkdir()
    soundfile.write(silent / "quiet.wav", quiet(30), RATE)
    soundfile.write(talk / "talk.wav", speech(60), RATE)
    result: dict[str, float] = {}
    command = [*ROOMTONE, "ear", "--config", str(config(folder, "quiet", silent, 1))]
    starts = []
    for _ in range(STARTS + 1):
        ear = Measured(command)
        starts.append(ear.wait_for("ready", 60))
        ear.stop()
    # The first one fills the caches.
    result["ear_ready_s"] = statistics.median(starts[1:])
    ear = Measured(command)
    ear.wait_for("ready", 60)
    threading.Event().wait(2)
    # As many self-tests as there are on average: one of them is a sixth of what a minute of silence takes.
    result["silence_cpu_share"] = ear.cpu_share(
        max(1, round(seconds / SELF_TEST_PERIOD_S)) * SELF_TEST_PERIOD_S
    )
    ear.stop()
    ear = Measured([*ROOMTONE, "ear", "--config", str(config(folder, "talk", talk, 1))])
    ear.wait_for("ready", 60)
    threading.Event().wait(2)
    result["speech_cpu_share"] = ear.cpu_share(seconds)
    result["ear_rss_mb"] = ear.rss_mb()
    ear.stop()
    return result


def classify_figures(folder: Path) -> dict[str, float]:
    """Time of `roomtone classify` for a short recording, by the clock and of the CPU, in seconds."""
    recording = folder / "short.wav"
    soundfile.write(recording, speech(3.0), RATE)
    walls, cpus = [], []
    for _ in range(STARTS + 1):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*ROOMTONE, "classify", str(recording)], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.monotonic() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"classify_s": statistics.median(walls[1:]), "classify_cpu_s": statistics.median(cpus[1:])}


def event_latency(folder: Path, wanted: int) -> dict[str, float]:
    """End of speech to the event at a subscriber, over a real broker, ear and link, in real time."""
    room = folder / "clips"
    room.mkdir()
    for number, clip in enumerate(sorted(playback_dirs.SPEECH.glob("cards/*.wav"))):
        (room / f"{number}.wav").symlink_to(clip)
    port = free_port(0)
    server = Measured(broker.command(port, folder).argv)
    while not accepts_connections(port):
        threading.Event().wait(0.05)
    latencies, enough, client = _subscribe(port, wanted)
    path = str(config(folder, "clips", room, port))
    link = Measured([*ROOMTONE, "link", "--config", path])
    link.wait_for("ready", 30)
    ear = Measured([*ROOMTONE, "ear", "--config", path])
    enough.wait(wanted * 8 + 30)
    for part in (ear, link):
        part.stop()
    client.disconnect()
    client.loop_stop()
    server.stop()
    if len(latencies) < wanted:
        raise RuntimeError(f"only {len(latencies)} events came: {ear.said[-3:]} {link.said[-3:]}")
    ordered = sorted(latencies)
    return {
        "event_p50_ms": statistics.median(ordered),
        "event_p95_ms": ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))],
    }


def _subscribe(port: int, wanted: int) -> tuple[list[float], threading.Event, mqtt.Client]:
    """A subscriber; the list gets the latency of each event in ms, and the event is set after so many."""
    hang_over_s = Segmenter().hang_over_ms / 1000
    latencies: list[float] = []
    enough = threading.Event()

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now = datetime.now(UTC)
        event = protocol.decode_event(bytes(message.payload))
        ended = datetime.fromisoformat(event.started_at).timestamp() + event.duration_ms / 1000
        latencies.append((now.timestamp() - ended - hang_over_s) * 1000)
        if len(latencies) >= wanted:
            enough.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.on_connect = lambda c, *_: c.subscribe("roomtone/+/event", qos=1)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    return latencies, enough, client
