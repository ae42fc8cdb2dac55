"""Fleet: what every box runs, how it is, what is wrong and what to do; and how well this hub was reached."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme


class FleetView(ui.element, component=Path(__file__).parent / "fleet.js"):
    """Asks `/api/fleet` while somebody can see it."""


def register() -> None:
    """Adds the page."""

    @ui.page("/fleet", title="Fleet · Roomtone")
    def fleet() -> None:
        with theme.frame("/fleet"):
            FleetView()
