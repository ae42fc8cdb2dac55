"""A push button that mutes at the device, and a light that is on while the microphone is open (gpiozero).

A press writes the same file as `roomtone mute`.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Protocol

from edge.config.settings import Button
from edge.ear.mute.mute_state import MuteState
from edge.util.errors import UserError

log = logging.getLogger(__name__)

BOUNCE_S = 0.05


class Panel(Protocol):
    """The interface of a mute button with its light."""

    def light(self, on: bool) -> None:
        """Switch the light on while the microphone is open."""

    def close(self) -> None:
        """Release the GPIO pins of button and light."""


class NoPanel:
    """Used where neither a button nor a light is configured."""

    def light(self, on: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class GpioPanel:
    """Button and light at GPIO pins; gpiozero calls back from its own thread."""

    def __init__(self, library: Any, pins: Button, mute: MuteState) -> None:
        self._mute = mute
        self._led = library.LED(pins.led) if pins.led is not None else None
        self._button = None
        if pins.pin is not None:
            self._button = library.Button(pins.pin, bounce_time=BOUNCE_S)
            self._button.when_pressed = self._pressed

    def light(self, on: bool) -> None:
        """Switch the light of the mute button on or off."""
        if self._led is not None:
            self._led.value = on

    def close(self) -> None:
        """Switch the light off and release the pins."""
        for part in (self._led, self._button):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    def _pressed(self) -> None:
        try:
            self._mute.toggle_local()
        except OSError as error:
            log.error("[button_failed] the button could not change the mute: %s", error)


def attach(pins: Button, mute: MuteState) -> Panel:
    """Create the configured button and light. Raises `UserError` where the pins cannot be used."""
    if pins.pin is None and pins.led is None:
        return NoPanel()
    try:
        import gpiozero
    except ImportError:
        raise UserError("`[button]` needs gpiozero: install the extra gpio (docs/install.md)") from None
    try:
        return GpioPanel(gpiozero, pins, mute)
    except Exception as error:
        # gpiozero has a tree of exceptions of its own, and each of its pin libraries another one.
        raise UserError(
            f"`[button]`: the pins cannot be used ({type(error).__name__}: {error}); see docs/device.md"
        ) from None
