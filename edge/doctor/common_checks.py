"""Checks of `roomtone doctor` for every device: Python, libraries, model, detector, disk, clock."""

from __future__ import annotations

import ctypes
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from edge.config.settings import Config
from edge.doctor.check import Check
from edge.util.errors import UserError
from edge.util.version import VERSION

LIBRARIES: Final[tuple[tuple[str, Literal["warn", "fail"], str], ...]] = (
    ("numpy", "fail", "required"),
    ("msgspec", "fail", "required"),
    ("soundfile", "warn", "needed for `classify` and playback"),
    ("soxr", "warn", "needed for sound that is not at 16 kHz"),
)
SLOW_S: Final = 0.5
TOO_SLOW_S: Final = 2.0
UNSYNCHRONISED: Final = 5
"""`TIME_ERROR`, returned by adjtimex(2) while the clock is not synchronised."""


def checks(config: Config) -> Iterator[Check]:
    """Run the checks in the order of their dependencies."""
    yield _python()
    yield from _libraries()
    yield from _model(config)
    yield from _detector(config)
    yield _disk()
    yield _clock()


def _python() -> Check:
    version = platform.python_version()
    detail = f"roomtone {VERSION}, Python {version}, {platform.machine()}"
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Check("python", "ok", detail)
    return Check("python", "fail", detail, "use Python 3.11 to 3.14")


def _libraries() -> Iterator[Check]:
    for name, severity, purpose in LIBRARIES:
        try:
            version = metadata.version(name)
            __import__(name)
        except (ImportError, OSError) as error:
            yield Check(name, severity, f"cannot be loaded ({error}); {purpose}", f"pip install {name}")
        else:
            yield Check(name, "ok", version)


def _model(config: Config) -> Iterator[Check]:
    from edge.inference import bundle, pace
    from edge.inference.classifier import Classifier

    try:
        found = bundle.load(bundle.find(config.model.bundle))
        classifier = Classifier(found)
        classifier.self_test()
        if found.manifest.kernels == "full-int8":
            # The reference kernels give the same bits on every machine, unless the file or the interpreter is broken.
            Classifier(found, reference=True).self_test()
        begun, inferences = time.thread_time(), 0
        for _ in range(3):
            inferences += classifier.self_test()
        seconds = (time.thread_time() - begun) / inferences
    except UserError as error:
        yield Check("model", "fail", str(error), "install a bundle, or name one in `model.bundle`")
        return
    yield Check(
        "model",
        "ok",
        f"{found.full_name} at {found.path}, sha256 {found.sha256[:12]}..., golden outputs match",
    )
    detail = f"{1000 * seconds:.0f} ms for 3 s of speech on one thread ({classifier.runtime})"
    found_pace = pace.measure(seconds)
    if found_pace.slow:
        yield Check("speed", "fail" if seconds > TOO_SLOW_S else "warn", detail, found_pace.why)
    elif seconds <= SLOW_S:
        yield Check("speed", "ok", detail)
    else:
        remedy = "use the small bundle: `roomtone doctor --bench` says what fits"
        yield Check("speed", "warn" if seconds <= TOO_SLOW_S else "fail", detail, remedy)


def _detector(config: Config) -> Iterator[Check]:
    import numpy as np

    from edge.audio.segmenter import BLOCK, BLOCK_MS
    from edge.audio.vad import make_vad

    try:
        vad = make_vad(config)
    except UserError as error:
        yield Check("voice activity", "fail", str(error), "install the extra edge (docs/install.md)")
        return
    block = np.zeros(BLOCK, np.int16)
    begun = time.process_time()
    for _ in range(100):
        silence = vad.probability(block)
    share = (time.process_time() - begun) * 1000 / 100 / BLOCK_MS
    detail = f"{vad.engine}, {share:.1%} of a core"
    if silence > 0.5:
        yield Check(
            "voice activity",
            "fail",
            f"{detail}: classifies silence as speech",
            "rebuild it: roomtone train vad",
        )
    elif vad.engine != config.vad.engine:
        yield Check(
            "voice activity",
            "warn",
            f"{detail}, in place of {config.vad.engine}",
            "see the messages above",
        )
    else:
        yield Check("voice activity", "ok", detail)


def _disk() -> Check:
    state = Path("/var/lib/roomtone")
    place = state if state.is_dir() else Path.home()
    free = shutil.disk_usage(place).free / 2**20
    detail = f"{free:,.0f} MB free at {place}"
    if free < 50:
        return Check(
            "disk", "fail", detail, "free some space: events cannot be kept while the broker is unreachable"
        )
    return Check(
        "disk", "ok" if free >= 500 else "warn", detail, "" if free >= 500 else "free some space soon"
    )


def _clock() -> Check:
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    # A struct timex is 208 bytes; with all of it zero the call changes nothing.
    asked = ctypes.create_string_buffer(512)
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(asked)
    except (OSError, AttributeError):
        answer = -1
    if answer == UNSYNCHRONISED:
        return Check("clock", "warn", f"{now}, not synchronised", "enable systemd-timesyncd or chrony")
    if answer < 0:
        return Check("clock", "warn", f"{now}; whether it is synchronised is unknown")
    return Check("clock", "ok", f"{now}, synchronised")
