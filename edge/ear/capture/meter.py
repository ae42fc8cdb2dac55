"""`roomtone devices --meter`: shows the level of a microphone, live."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from edge.audio.level import SILENCE_DBFS, dbfs, sound_power
from edge.audio.segmenter import Samples
from edge.ear.capture.source import AudioSource, Block
from edge.ear.capture.thread import Capture
from edge.ear.mute.mute_state import read_mic_state
from edge.util.errors import UserError

EVERY_BLOCKS: Final = 4
"""The bar is drawn eight times a second."""
LINES_S: Final = 1.0
"""Seconds between two lines where the output is no terminal."""
WIDTH: Final = 30
"""Length of the bar; with a warning the line fits into 80 columns."""
LOWEST_DBFS: Final = -80.0
CLIPPED_DBFS: Final = -0.1
TIMEOUT_S: Final = 1.0


def refuse_if_muted(runtime: Path) -> None:
    """Raise `UserError` where the microphone of this device is muted: the meter would open it."""
    if read_mic_state(runtime) == "muted":
        raise UserError(
            "the microphone of this device is muted, and the meter would open it; first: sudo roomtone unmute"
        )


def show(source: AudioSource, seconds: float | None, out: TextIO, *, as_json: bool = False) -> int:
    """Show the level for `seconds` after the source was opened (None: until Ctrl-C); returns the lines written.

    Raises `UserError` when the source cannot be opened, is lost or does not respond.
    """
    stopped = threading.Event()
    capture = Capture(source, stopped)
    capture.start()
    live = out.isatty() and not as_json
    blocks: list[Samples] = []
    end: float | None = None
    due, written = 0.0, 0
    try:
        while end is None or time.monotonic() < end:
            for item in capture.get(TIMEOUT_S, EVERY_BLOCKS):
                if isinstance(item, Block):
                    blocks.append(item.samples)
                elif item.kind == "opened":
                    end = None if seconds is None else time.monotonic() + seconds
                    print(f"{item.text}; Ctrl-C ends", file=sys.stderr)
                elif item.kind in {"lost", "failed"}:
                    raise UserError(
                        f"{item.text}; if roomtone-ear holds the microphone: sudo systemctl stop roomtone-ear"
                    )
            stuck = capture.stuck_call()
            if stuck is not None:
                raise UserError(
                    f"the microphone does not respond (`{stuck}`): unplug it and plug it in again"
                )
            now = time.monotonic()
            if len(blocks) >= EVERY_BLOCKS and (live or now >= due):
                recent = np.concatenate(blocks)
                blocks.clear()
                due = now + LINES_S
                _write(recent, out, live=live, as_json=as_json)
                written += 1
    except KeyboardInterrupt:
        pass
    finally:
        stopped.set()
        capture.join(TIMEOUT_S)
        if live and written:
            out.write("\n")
    return written


def _write(recent: Samples, out: TextIO, *, live: bool, as_json: bool) -> None:
    level = dbfs(sound_power(recent))
    peak = dbfs((float(np.abs(recent.astype(np.int32)).max()) / 32768.0) ** 2)
    if as_json:
        out.write(json.dumps({"dbfs": round(level, 1), "peak_dbfs": round(peak, 1)}) + "\n")
    else:
        # `\x1b[K` clears the rest of a longer line.
        out.write(f"\r{format_level(level, peak)}\x1b[K" if live else f"{format_level(level, peak)}\n")
    out.flush()


def format_level(level: float, peak: float) -> str:
    """`[#######   |     ] -40.2 dBFS`: the RMS level as a bar, the peak as `|`, and a warning (both in dBFS)."""
    filled, at = _column(level), min(WIDTH - 1, _column(peak))
    cells = ["#" if cell < filled else " " for cell in range(WIDTH)]
    if peak > LOWEST_DBFS:
        cells[at] = "|"
    warning = ""
    if peak <= SILENCE_DBFS:
        warning = "  digital silence"
    elif peak >= CLIPPED_DBFS:
        warning = "  too loud"
    return f"[{''.join(cells)}] {level:6.1f} dBFS, peak {peak:6.1f}{warning}"


def _column(level: float) -> int:
    return round(WIDTH * min(1.0, max(0.0, 1.0 - level / LOWEST_DBFS)))
