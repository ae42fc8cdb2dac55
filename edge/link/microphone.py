"""The state of the microphone as the link publishes it: what the ear says, without the gap of a restart.

An ear that is restarted is away for some seconds. Until one has been missing for `RESTART_GRACE_S`, the microphone is
`starting`, or stays `muted`: without an ear it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from edge.protocol import RESTART_GRACE_S, MicSignal, MicState

log = logging.getLogger(__name__)


class MicrophoneState:
    """`on_change` gets every state; `socket` is the path at which an ear is expected, for the log."""

    def __init__(
        self, on_change: Callable[[MicSignal], None], loop: asyncio.AbstractEventLoop, socket: str
    ) -> None:
        self._on_change = on_change
        self._loop = loop
        self._socket = socket
        self._mic = MicSignal("starting")
        self._missing: asyncio.TimerHandle | None = None
        self._expect_ear()

    @property
    def state(self) -> MicState:
        """The state that was published last."""
        return self._mic.state

    def on_mic(self, mic: MicSignal) -> None:
        """Take over a microphone state of the ear and pass it to `on_change`.

        `starting` of a restarted ear that is still muted is passed on as `muted`.
        """
        if mic.state == "starting" and mic.muted_by and self.state == "muted":
            # A restarted ear that is still muted does not open the microphone.
            mic = MicSignal("muted", mic.muted_by)
        self._mic = mic
        self._on_change(mic)

    def on_ear_connected(self) -> None:
        """Nothing is missing any more."""
        self.close()

    def on_ear_disconnected(self) -> None:
        """Bridge a restart; an ear that stays away for longer is missing."""
        if self.state == "ok":
            self.on_mic(MicSignal("starting", self._mic.muted_by))
        self._expect_ear()

    def close(self) -> None:
        """Wait for no ear any more."""
        if self._missing is not None:
            self._missing.cancel()
            self._missing = None

    def _expect_ear(self) -> None:
        self.close()
        self._missing = self._loop.call_later(RESTART_GRACE_S, self._on_missing)

    def _on_missing(self) -> None:
        log.warning("[ear_missing] no ear is connected to %s: is `roomtone ear` running?", self._socket)
        self.on_mic(MicSignal("lost"))
