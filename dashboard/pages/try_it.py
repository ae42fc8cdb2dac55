"""Try it: say something, or drop a recording, and see what the model makes of it."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme


class Trial(ui.element, component=Path(__file__).parent / "try_it.js"):
    """Button, drop zone and answer; it talks to `/api/try` and needs nothing of the server's state."""


def register() -> None:
    """Adds the page."""

    @ui.page("/try", title="Try it · Roomtone")
    def try_it() -> None:
        with theme.frame("/try"):
            Trial()
