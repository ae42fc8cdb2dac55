"""`roomtone ear` and `roomtone devices`. The heavy parts are imported when a command runs, not when it is listed."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from edge.config.options import add_config_options, config_from
from edge.config.settings import Config
from edge.ear.core_dumps import forbid_dumps
from edge.util.errors import UserError
from edge.util.restarts import wait_before_start

if TYPE_CHECKING:
    from edge.ear.capture.source import AudioSource

log = logging.getLogger(__name__)


def register(subparsers: Any) -> None:
    """Adds `roomtone ear`."""
    parser = subparsers.add_parser(
        "ear",
        help="the process that listens, and has no network",
        description="Hears speech, tells its tone to the link over a local socket, and keeps no sound. "
        "Ends with 74 when the microphone hangs, 70 when the model fails, 75 when asked to restart.",
    )
    add_config_options(parser)
    parser.add_argument(
        "--print-ready", action="store_true", help="print one line to standard output when ready"
    )
    parser.set_defaults(run=run)


def register_devices(subparsers: Any) -> None:
    """Adds `roomtone devices`."""
    parser = subparsers.add_parser(
        "devices",
        help="the microphones, under names that survive a reboot",
        description="Lists what can record. Put the identity of one into `audio.device`; "
        "a part of its name or its number will do as well.",
        epilog="examples:\n  roomtone devices\n"
        "  roomtone devices --meter              how loud is the default one?\n"
        "  roomtone devices --meter usb:0d8c:0014:A7 --seconds 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON array; with --meter a line for each second"
    )
    parser.add_argument(
        "--meter", nargs="?", const="", metavar="DEVICE", help="show how loud one is, live, until Ctrl-C"
    )
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="with --meter: end after so many seconds"
    )
    parser.set_defaults(run=run_devices)


def run(options: argparse.Namespace) -> int:
    """Runs the ear until it is told to stop. Raises `UserError`."""
    # Numeric libraries start a thread for each core when they are imported; one block of 32 ms needs none of them.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    config = config_from(options)
    _log_to_stderr(config)
    forbid_dumps()
    restarts = wait_before_start()

    from edge.audio.vad import make_vad
    from edge.ear.model_selection import Models
    from edge.ear.process import Ear

    stopped = threading.Event()
    source = make_source(config, stopped)
    vad = make_vad(config)
    models = Models(config)
    first = models.first()

    def on_ready(seconds: float) -> None:
        if options.print_ready:
            print(f"ready {seconds:.3f}", flush=True)

    ear = Ear(
        config=config, source=source, vad=vad, classifier=first.classifier, on_ready=on_ready, stopped=stopped,
        adaptation=first.adaptation, restarts=restarts, models=models, on_probation=first.chosen.on_probation,
    )  # fmt: skip
    return ear.run()


def make_source(config: Config, stopped: threading.Event) -> AudioSource:
    """The configured source. Raises `UserError` where it never could work."""
    if config.audio.source == "playback":
        from edge.ear.capture.playback import PlaybackSource

        return PlaybackSource(config.audio, stopped)
    from edge.ear.capture.microphone import MicrophoneSource

    return MicrophoneSource(config.audio.device)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError("between 0 and 86400")
    return value


def _run_meter(options: argparse.Namespace) -> int:
    from edge.cli.mute import RUNTIME
    from edge.ear.capture import meter
    from edge.ear.capture.microphone import MicrophoneSource
    from edge.ear.native_output import silence_native_stderr

    meter.refuse_if_muted(RUNTIME)
    source = MicrophoneSource(options.meter)
    silence_native_stderr()
    forbid_dumps()
    return 0 if meter.show(source, options.seconds, sys.stdout, as_json=options.json) else 1


def run_devices(options: argparse.Namespace) -> int:
    """Prints the microphones, or the level of one; status 1 when there is none. Raises `UserError`."""
    if options.meter is not None:
        return _run_meter(options)
    if options.seconds is not None:
        raise UserError("--seconds goes with --meter")
    import msgspec

    from edge.ear.capture.devices import listen
    from edge.ear.capture.microphone import portaudio
    from edge.ear.native_output import quiet_native_stderr

    library = portaudio()
    with quiet_native_stderr():
        system = library.PyAudio()
        try:
            found = listen(system)
        finally:
            system.terminate()
    if options.json:
        print(msgspec.json.encode(found).decode())
    elif not found:
        print("no microphone is connected", file=sys.stderr)
    else:
        width = max(len(device.identity) for device in found)
        for device in found:
            mark = "*" if device.default else " "
            print(
                f"{mark} {device.identity:<{width}}  {device.name} "
                f"(number {device.index}, {device.channels} in, {device.rate} Hz)"
            )
        print("* = the default; put an identity into audio.device", file=sys.stderr)
    return 0 if found else 1


def _log_to_stderr(config: Config) -> None:
    stream = sys.stderr
    if config.runtime.log_level != "debug":
        from edge.ear.native_output import silence_native_stderr

        stream = silence_native_stderr()
    logging.basicConfig(
        level=config.runtime.log_level.upper(), format="%(levelname)s ear: %(message)s", stream=stream
    )
