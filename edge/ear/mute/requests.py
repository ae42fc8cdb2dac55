"""Who wants the microphone closed: somebody at the device, somebody far away, or the hour.

Each wish is a file of its own in the ear's state folder, so that it outlives a restart and a power cut, and so that
two who wish at once cannot overwrite each other. `device` is written by `roomtone mute` or the button, and only they
remove it: what was muted at the device is unmuted only at the device. `remote` is the ear's own, set by a command of
MQTT. Quiet hours are configuration and need no file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Final, Literal

from edge.util.atomic_file import sync_folder, write
from edge.util.errors import UserError
from edge.util.restarts import runtime_dir

log = logging.getLogger(__name__)

Who = Literal["device", "remote"]
_WHO: Final[tuple[Who, ...]] = ("device", "remote")


class Mute:
    """The wishes as they are now; `now` gives local time."""

    def __init__(
        self, folder: Path, quiet_hours: Sequence[str] = (), now: Callable[[], datetime] = datetime.now
    ) -> None:
        self._folder = folder
        self._quiet = [_span(text) for text in quiet_hours]
        self._now = now
        self._unsaved = False

    def wishes(self) -> list[str]:
        """Who wants it closed, in words; empty: it may be open."""
        found = []
        if self._file("device").exists():
            found.append("muted at the device")
        if self._unsaved or self._file("remote").exists():
            found.append("muted from afar")
        moment = self._now().time()
        if any(_within(moment, begin, end) for begin, end in self._quiet):
            found.append("quiet hours")
        return found

    def set(self, who: Who, muted: bool) -> None:
        """Keeps a wish or takes it back. Raises `OSError` when it cannot be kept on disk."""
        file = self._file(who)
        if not muted:
            file.unlink(missing_ok=True)
        elif not file.exists():
            # Only existence counts: nothing to be half-written. The folder is synchronised, for a power cut.
            file.touch()
            sync_folder(self._folder)

    def set_at_device(self, muted: bool) -> None:
        """Somebody stands before the box; whoever may unmute there lifts what was muted from afar, too.

        Raises `OSError`.
        """
        self.set("device", muted)
        if not muted:
            self.set("remote", False)

    def toggle_at_device(self) -> None:
        """The button: opens what is muted by whomever, else mutes. Raises `OSError`."""
        self.set_at_device(not any(self._file(who).exists() for who in _WHO))

    def set_remote(self, muted: bool) -> None:
        """As `set`, but holds in memory what the disk does not take: a wish for silence is never refused."""
        self._unsaved = False
        try:
            self.set("remote", muted)
        except OSError as error:
            self._unsaved = muted
            log.warning("the mute cannot be kept in %s (%s): a restart would forget it", self._folder, error)

    def _file(self, who: Who) -> Path:
        return self._folder / f"muted-{who}"


def tell(state: str) -> None:
    """Leaves the state of the microphone in the runtime directory, for `roomtone mute` to see that it was obeyed."""
    place = runtime_dir()
    if place is None:
        return
    try:
        write(place / "mic", state)
    except OSError as error:
        log.warning("%s cannot be written: %s", place / "mic", error)


def _span(text: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    try:
        span = time.fromisoformat(begin), time.fromisoformat(end)
    except ValueError:
        raise UserError(f"audio.quiet_hours: {text!r} is no span of hours; write 22:00-07:00") from None
    return span


def _within(moment: time, begin: time, end: time) -> bool:
    """Whether a time of day lies in a span that may go over midnight; equal ends: all day."""
    if begin < end:
        return begin <= moment < end
    return moment >= begin or moment < end
