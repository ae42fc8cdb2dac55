"""`roomtone ear`: the process that listens. Heavy modules are imported when it runs, not when it is listed."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from edge.config.options import add_config_options, config_from
from edge.util.loading.garbage import without_garbage_collection

if TYPE_CHECKING:
    from edge.config.settings import Config
    from edge.ear.capture.source import AudioSource
    from edge.ear.process import Ear

EPILOG: Final = """examples:
  roomtone ear --config /etc/roomtone/roomtone.toml
  roomtone ear --set audio.source=playback --set audio.playback_dir=recordings --set runtime.socket=/tmp/link.sock

Exit status: 70 the model failed its self-test, 74 the microphone does not respond, 75 a restart was requested.
"""


def register(subparsers: Any) -> None:
    """Add `roomtone ear`."""
    parser = subparsers.add_parser(
        "ear",
        help="listen, classify speech and send events to the link (no network in this process)",
        description="Detects speech, classifies its emotion and sends events to the link over a local socket. "
        "Sound is never stored.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_options(parser)
    parser.add_argument(
        "--print-ready", action="store_true", help="print one line to standard output when ready"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the ear until it is told to stop; returns its exit status. Raises `UserError`."""
    # Numeric libraries start a thread for each core when they are imported; blocks of 32 ms need none of them.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with without_garbage_collection():
        ear = _prepared(options)
    return ear.run()


def _prepared(options: argparse.Namespace) -> Ear:
    """Load everything that the ear needs. Raises `UserError`."""
    config = config_from(options)
    _log_to_stderr(config)

    from edge.ear.core_dumps import disable_core_dumps
    from edge.util.service.restarts import wait_before_start

    disable_core_dumps()
    restarts = wait_before_start()

    from edge.audio.vad import make_vad
    from edge.ear.model_selection import ModelSelector
    from edge.util.loading.background import Background

    stopped = threading.Event()
    models = ModelSelector(config)
    # Checking, loading and testing the model is native code for the most part, and takes as long as all of the rest.
    with Background(models.load_initial) as loading:
        from edge.ear.process import Ear

        source = make_source(config, stopped)
        vad = make_vad(config)
        first = loading.result()

    def on_ready(seconds: float) -> None:
        if options.print_ready:
            print(f"ready {seconds:.3f}", flush=True)

    return Ear(
        config=config, source=source, vad=vad, models=models, first=first, on_ready=on_ready, stopped=stopped,
        restarts=restarts,
    )  # fmt: skip


def make_source(config: Config, stopped: threading.Event) -> AudioSource:
    """Create the configured audio source. Raises `UserError` where it can never work."""
    if config.audio.source == "playback":
        from edge.ear.capture.playback import PlaybackSource

        return PlaybackSource(config.audio, stopped)
    from edge.ear.capture.microphone import MicrophoneSource

    return MicrophoneSource(config.audio.device, config.audio.channel)


def _log_to_stderr(config: Config) -> None:
    stream = sys.stderr
    if config.runtime.log_level != "debug":
        from edge.ear.native_output import silence_native_stderr

        stream = silence_native_stderr()
    import logging

    from edge.util.text.log_lines import LineFormatter

    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s ear: "))
    logging.basicConfig(level=config.runtime.log_level.upper(), handlers=[handler])
