"""The page *Try it*: classifies a recording of the browser's microphone or a file."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme


class TryItView(ui.element, component=Path(__file__).parent / "try_it.js"):
    """Record button, drop zone and result; uses `/api/try` only."""


def register() -> None:
    """Add the page."""

    @ui.page("/try", title="Try it · Roomtone")
    def try_it() -> None:
        with theme.frame("/try"):
            TryItView()
