"""Reasons to close the microphone: a request at the device, a request over MQTT, or quiet hours.

Each request is a file of its own in the ear's state folder, so that it outlives a restart and a power cut, and so that
two requests at once cannot overwrite each other. `device` is written by `roomtone mute` or the button, and only they
remove it: what was muted at the device is unmuted only at the device. `remote` belongs to the ear and follows the MQTT
command. Quiet hours are configuration and need no file.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Final, Literal, get_args

from edge.ear.state_dir import read_regular
from edge.protocol.types import MicState, MutedBy
from edge.util.atomic_file import sync_folder, write
from edge.util.errors import UserError
from edge.util.service.runtime_dir import runtime_dir
from edge.util.system_clock import LocalClock

log = logging.getLogger(__name__)

Origin = Literal["device", "remote"]
TEXTS: Final[dict[MutedBy, str]] = {
    "device": "muted at the device",
    "remote": "muted remotely",
    "quiet_hours": "quiet hours",
}
ORIGINS: Final[tuple[Origin, ...]] = ("device", "remote")


class MuteState:
    """Why the microphone has to be closed: requests at the device and over MQTT, and quiet hours.

    `now` returns local time (by default `LocalClock`).
    """

    def __init__(
        self, folder: Path, quiet_hours: Sequence[str] = (), now: Callable[[], datetime] | None = None
    ) -> None:
        self._folder = folder
        self._files = {origin: folder / f"muted-{origin}" for origin in ORIGINS}
        self._quiet = [_parse_span(text) for text in quiet_hours]
        self._now = now or LocalClock().now
        self._unsaved = False

    def muted_by(self) -> tuple[MutedBy, ...]:
        """Return why the microphone has to be closed; empty: it may be open."""
        found: list[MutedBy] = []
        if self._files["device"].exists():
            found.append("device")
        if self._unsaved or self._files["remote"].exists():
            found.append("remote")
        if self._quiet:
            moment = self._now().time()
            if any(_within(moment, begin, end) for begin, end in self._quiet):
                found.append("quiet_hours")
        return tuple(found)

    def reasons(self) -> list[str]:
        """Return the reasons why the microphone has to be closed, in words."""
        return [TEXTS[reason] for reason in self.muted_by()]

    def set(self, origin: Origin, muted: bool) -> None:
        """Make a request or withdraw it. Raises `OSError` when it cannot be saved."""
        file = self._files[origin]
        if not muted:
            file.unlink(missing_ok=True)
        else:
            # Only existence counts, so nothing can be half-written. The folder is synchronised, for a power cut. Root
            # does this in a folder of the ear's: a link that waits there leads nowhere.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
                sync_folder(self._folder)

    def set_local(self, muted: bool) -> None:
        """Mute or unmute at the device; unmuting there withdraws a remote request, too. Raises `OSError`."""
        self.set("device", muted)
        if not muted:
            self.set("remote", False)

    def toggle_local(self) -> None:
        """Handle a press of the button: unmute where there is any request, else mute. Raises `OSError`."""
        self.set_local(not any(self._files[origin].exists() for origin in ORIGINS))

    def set_remote(self, muted: bool) -> None:
        """Mute or unmute by MQTT; a request that cannot be saved is kept in memory, never refused."""
        self._unsaved = False
        try:
            self.set("remote", muted)
        except OSError as error:
            self._unsaved = muted
            log.warning(
                "[mute_not_saved] %s cannot be written (%s): the mute would end at a restart",
                self._folder,
                error,
            )


def write_mic_state(state: str) -> None:
    """Write the state of the microphone to the runtime directory, where `roomtone mute` waits for it."""
    place = runtime_dir()
    if place is None:
        return
    try:
        write(place / "mic", state)
    except OSError as error:
        log.warning("[microphone_file] %s cannot be written: %s", place / "mic", error)


def read_mic_state(folder: Path) -> MicState | None:
    """Return what `write_mic_state` has written into the ear's runtime directory; None for anything else."""
    data = read_regular(folder / "mic", 16)
    return next((state for state in get_args(MicState) if data == state.encode()), None)


def _parse_span(text: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    try:
        span = time.fromisoformat(begin), time.fromisoformat(end)
    except ValueError:
        raise UserError(f"audio.quiet_hours: {text!r} is no span of hours; write 22:00-07:00") from None
    return span


def _within(moment: time, begin: time, end: time) -> bool:
    """Whether a time of day lies in a span that may include midnight; equal ends: all day."""
    if begin < end:
        return begin <= moment < end
    return moment >= begin or moment < end
