"""The page *Fleet*: the devices, their problems with the remedy, and the hub's reachability."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme


class FleetView(ui.element, component=Path(__file__).parent / "fleet.js"):
    """Polls `/api/fleet` while the tab is visible."""


def register() -> None:
    """Add the page."""

    @ui.page("/fleet", title="Fleet · Roomtone")
    def fleet() -> None:
        with theme.frame("/fleet"):
            FleetView()
