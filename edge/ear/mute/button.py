"""A push button that mutes at the device, and a light that is on while the microphone is open (gpiozero).

The press writes the same file as `roomtone mute`: there is one truth, and it outlives the process.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Protocol

from edge.config.settings import Button
from edge.ear.mute.requests import Mute
from edge.util.errors import UserError

log = logging.getLogger(__name__)

BOUNCE_S = 0.05


class Panel(Protocol):
    """What the ear needs of a button and its light."""

    def light(self, on: bool) -> None:
        """Whether the microphone is open."""

    def close(self) -> None:
        """Gives the pins back."""


class NoPanel:
    """A box without a button."""

    def light(self, on: bool) -> None:
        """Nothing to light."""

    def close(self) -> None:
        """Nothing to give back."""


class GpioPanel:
    """Pins by gpiozero, whose own thread calls back at a press."""

    def __init__(self, library: Any, pins: Button, mute: Mute) -> None:
        self._mute = mute
        self._led = library.LED(pins.led) if pins.led is not None else None
        self._button = None
        if pins.pin is not None:
            self._button = library.Button(pins.pin, bounce_time=BOUNCE_S)
            self._button.when_pressed = self._pressed

    def light(self, on: bool) -> None:
        """Lights while the microphone is open."""
        if self._led is not None:
            self._led.value = on

    def close(self) -> None:
        """Light out, pins free."""
        for part in (self._led, self._button):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    def _pressed(self) -> None:
        try:
            self._mute.toggle_at_device()
        except OSError as error:
            log.error("the button cannot mute: %s", error)


def attach(pins: Button, mute: Mute) -> Panel:
    """The panel that the configuration describes. Raises `UserError` where its pins cannot be had."""
    if pins.pin is None and pins.led is None:
        return NoPanel()
    try:
        import gpiozero
    except ImportError:
        raise UserError("`[button]` needs gpiozero: pip install 'roomtone[gpio]'") from None
    try:
        return GpioPanel(gpiozero, pins, mute)
    except Exception as error:
        # gpiozero has a tree of exceptions of its own, and each of its pin libraries another one.
        raise UserError(
            f"`[button]`: the pins cannot be used ({type(error).__name__}: {error}); see docs/device.md"
        ) from None
