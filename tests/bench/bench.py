"""`./run bench`: figures of the ear as a whole process, and beside them, in the same run, the thesis's way.

Latency is from the end of speech to the event at a subscriber, without the hang-over (the silence that has to pass
before speech counts as ended): arrival - (started_at + duration_ms) - hang_over_ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import soundfile
from paho.mqtt.enums import CallbackAPIVersion
from process import Measured

from edge import protocol
from edge.audio import files
from edge.config.settings import Segmenter
from edge.inference import bundle
from edge.util.local_ports import accepts_connections, free_port
from provisioning.demo import broker, playback_dirs

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16_000
ROOMTONE = [sys.executable, "-m", "edge.cli.main"]

# key, what it is, unit, target (None: no target of its own), whether less is better
TABLE = (
    ("ear_ready_s", "ear: start to ready", "s", 1.5),
    ("ear_rss_mb", "ear: resident memory", "MB", 120),
    ("silence_cpu_share", "ear: CPU share in silence", "", 0.02),
    ("speech_cpu_share", "ear: CPU share in continuous speech", "", None),
    ("peer_utterance_cpu_ms", "thesis's way (wav2vec2-base), 3 s of speech", "ms", None),
    ("peer_rss_mb", "thesis's way: resident memory", "MB", None),
    ("event_p50_ms", "end of speech to subscriber, p50", "ms", None),
    ("event_p95_ms", "end of speech to subscriber, p95", "ms", 100),
)


# How many times faster than the thesis's way an utterance of 3 s has to be, one thread each, in the same run.
FASTER = {"base": 20, "small": 100}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def speech(seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Recorded speech without long pauses, repeated to that length."""
    clips = [np.concatenate(list(files.read(p))) for p in sorted(playback_dirs.SPEECH.glob("librivox/*.wav"))]
    whole = np.concatenate(clips)
    if whole.dtype != np.int16:
        whole = (whole * 32767).astype(np.int16)
    return np.resize(whole, int(seconds * RATE)).astype(np.int16)


def config(folder: Path, name: str, room: Path, port: int) -> Path:
    """A room's configuration file."""
    audio = {"source": "playback", "playback_dir": str(room), "speed": 1.0, "loop": True}
    return playback_dirs.write_config(playback_dirs.Room(name, name, audio), port, "base", folder)


def utterance_cpu_ms(folder: Path) -> dict[str, float]:
    """CPU time of features and inference for 3 s of speech, of every family of bundles, in processes of their own."""
    path = folder / "speech.npy"
    np.save(path, speech(3.0))
    found = {}
    for family, place in bundle.families().items():
        command = [sys.executable, str(Path(__file__).with_name("utterance.py")), str(place), str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[f"{family}_utterance_cpu_ms"] = float(done.stdout)
    return found


def costs(result: dict[str, Any]) -> dict[str, float]:
    """Of the figures, those of the families: family -> CPU time of an utterance."""
    families = {key.removesuffix("_utterance_cpu_ms"): value for key, value in result.items()}
    return {name: value for name, value in families.items() if name not in result and name != "peer"}


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """How much faster and smaller than the thesis's way, from figures of the same run."""
    peer = result["peer_utterance_cpu_ms"]
    found = {f"{family}_times_faster": peer / cost for family, cost in costs(result).items()}
    if "ear_rss_mb" in result:
        found["times_smaller"] = result["peer_rss_mb"] / result["ear_rss_mb"]
    return found


def ear_figures(folder: Path, seconds: float) -> dict[str, float]:
    """Start, memory and CPU share; silence is a real room's noise floor, 60 dB below full scale."""
    quiet, talk = folder / "quiet", folder / "talk"
    quiet.mkdir()
    talk.mkdir()
    noise = np.random.default_rng(1).normal(0, 20, 30 * RATE).astype(np.int16)
    soundfile.write(quiet / "quiet.wav", noise, RATE)
    soundfile.write(talk / "talk.wav", speech(60), RATE)
    result: dict[str, float] = {}
    starts = []
    for _ in range(3):
        ear = Measured([*ROOMTONE, "ear", "--config", str(config(folder, "quiet", quiet, 1))])
        starts.append(ear.wait_for("ready", 60))
        ear.stop()
    result["ear_ready_s"] = statistics.median(starts)
    ear = Measured([*ROOMTONE, "ear", "--config", str(config(folder, "quiet", quiet, 1))])
    ear.wait_for("ready", 60)
    threading.Event().wait(2)
    result["silence_cpu_share"] = ear.cpu_share(seconds)
    ear.stop()
    ear = Measured([*ROOMTONE, "ear", "--config", str(config(folder, "talk", talk, 1))])
    ear.wait_for("ready", 60)
    threading.Event().wait(2)
    result["speech_cpu_share"] = ear.cpu_share(seconds)
    result["ear_rss_mb"] = ear.rss_mb()
    ear.stop()
    return result


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


def peer_figures() -> dict[str, float]:
    """The thesis's way, in an environment of its own (PyTorch and transformers; made once)."""
    venv = Path(os.environ.get("ROOMTONE_BENCH_VENV", ROOT / ".venv-bench"))
    python = venv / "bin" / "python"
    stamp = venv / ".installed-1"
    if not stamp.exists():
        say(f"==> making {venv} with PyTorch and transformers for the comparison (several minutes, once)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        # Pinned: a later or an open version may bring gigabytes of CUDA libraries on x86-64.
        subprocess.run([*pip, "torch==2.13.0"], check=True, stdout=sys.stderr)
        subprocess.run([*pip, "transformers>=4.50", "numpy"], check=True, stdout=sys.stderr)
        stamp.touch()
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("peer.py"))],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    return {"peer_utterance_cpu_ms": figures["cpu_ms"], "peer_rss_mb": figures["rss_mb"]}


def machine() -> str:
    """Processor, cores and Python, for the reader of the figures."""
    model = platform.machine()
    # On Intel, `model` is a mere number and `model name` the name; on a Raspberry Pi only `Model` is there.
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    lines = [line for line in lines if line.startswith(("model name", "Model"))]
    if lines:
        model = f"{lines[0].partition(':')[2].strip()} ({platform.machine()})"
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    print(f"\n{result['machine']}\n")
    bundles = [
        (f"{family}_utterance_cpu_ms", f"{family}: features + inference, 3 s of speech", "ms", None)
        for family in costs(result)
    ]
    for key, text, unit, target in (*TABLE[:4], *bundles, *TABLE[4:]):
        if key not in result:
            continue
        verdict = ""
        if target is not None:
            verdict = f"  target <= {target:g} {unit}: {'met' if result[key] <= target else 'MISSED'}"
        print(f"  {text:<44} {result[key]:10.3f} {unit:<3}{verdict}")
    if "peer_utterance_cpu_ms" not in result:
        return
    for family in costs(result):
        ratio, target = result[f"{family}_times_faster"], FASTER.get(family, 20)
        print(f"  {f'{family}: times faster than the thesis':<44} {ratio:10.1f}    {judged(ratio, target)}")
    if "times_smaller" not in result:
        return
    ratio = result["times_smaller"]
    print(f"  {'times smaller than the thesis':<44} {ratio:10.1f}    {judged(ratio, 8)}")


def judged(ratio: float, target: float) -> str:
    """Whether a ratio reaches its target."""
    return f"  target >= {target}: {'met' if ratio >= target else 'MISSED'}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  ./run bench\n  ./run bench --json > figures.json\n  ./run bench --utterance\n  "
        "./run bench --no-peer --seconds 10",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--seconds", type=float, default=30, help="length of each CPU measurement (default: 30)"
    )
    parser.add_argument("--events", type=int, default=40, help="events for the latency (default: 40)")
    parser.add_argument("--no-peer", action="store_true", help="leave out the thesis's way (PyTorch)")
    parser.add_argument(
        "--utterance",
        action="store_true",
        help="only one utterance of 3 s, of each bundle and the thesis's way",
    )
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="roomtone-bench-") as name:
        folder = Path(name)
        if not options.utterance:
            say("[1/4] start, memory and CPU share of the ear")
            result |= ear_figures(folder, options.seconds)
        say("[2/4] features + inference")
        result |= utterance_cpu_ms(folder)
        if not options.no_peer:
            say("[3/4] the thesis's way")
            result |= peer_figures()
            result |= ratios(result)
        if not options.utterance:
            say(f"[4/4] end of speech to event, {options.events} events in real time")
            result |= event_latency(folder, options.events)
    for key, value in result.items():
        if isinstance(value, float):
            result[key] = round(value, 4)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
