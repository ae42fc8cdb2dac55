"""Back-off between quick restarts of a service, kept in its runtime directory (memory, not disk).

systemd has `RestartSteps=` only since version 254, and counts every failure since the unit was started by hand: after
ten failures in a year a device would wait a minute each time. Here a run of `LASTED_S` clears the count.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Final

from edge.util import atomic_file
from edge.util.service.runtime_dir import runtime_dir

log = logging.getLogger(__name__)

FREE: Final = 3
"""Quick failures in a row without a delay, such as an unplugged microphone or a kill by hand."""
FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
LASTED_S: Final = 30.0
"""A run of so many seconds is no quick failure."""


class Restarts:
    """Counts the runs that ended soon. Without a folder (no service manager) there is no count and no delay."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "restarts" if folder is not None else None
        self._clear_at: float | None = None

    def begin(self) -> float:
        """Count this start as a failure until `alive` clears it; returns the seconds to wait before it."""
        if self._file is None:
            return 0.0
        failures = self._read()
        self._write(failures + 1)
        wait = 0.0 if failures < FREE else min(LONGEST_S, FIRST_S * 2.0 ** min(failures - FREE, 16))
        # The wait itself is no part of the run.
        self._clear_at = time.monotonic() + wait + LASTED_S
        return wait

    def alive(self) -> None:
        """Clear the count after `LASTED_S`; call it regularly."""
        if self._clear_at is not None and time.monotonic() > self._clear_at:
            self.clear()

    def clear(self) -> None:
        """Clear the count: this run has lasted, or it ends cleanly."""
        self._clear_at = None
        if self._file is not None:
            with contextlib.suppress(OSError):  # That it cannot be written was reported at the start.
                self._file.unlink(missing_ok=True)

    def _read(self) -> int:
        assert self._file is not None
        try:
            return max(0, int(self._file.read_text(encoding="ascii")[:9]))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            log.warning("%s is damaged (%s): counting the failures anew", self._file, error)
            return 0

    def _write(self, failures: int) -> None:
        assert self._file is not None
        try:
            # As a whole: on a full disk the old count is kept.
            atomic_file.write(self._file, str(failures))
        except OSError as error:
            log.warning("%s cannot be written (%s): no back-off between restarts", self._file, error)


def wait_before_start() -> Restarts:
    """Count this start of a service, and sleep for the back-off if its last runs ended soon.

    Call it once, before anything slow; it blocks for up to a minute. The caller has to call `alive`
    of the result regularly, and `clear` at an orderly end: otherwise this start counts as a failure.
    """
    restarts = Restarts(runtime_dir())
    wait = restarts.begin()
    if wait:
        log.warning("the last starts ended soon: waiting %.0f s before this one", wait)
        time.sleep(wait)
    return restarts
