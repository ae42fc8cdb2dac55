"""The page *Alerts*: alerts and their rules."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme
from dashboard.auth.middleware import identity_of


class AlertsView(ui.element, component=Path(__file__).parent / "alerts.js"):
    """Polls `/api/alerts` and `/api/rules` while the tab is visible."""

    def __init__(self, operator: bool) -> None:
        super().__init__()
        self.props["operator"] = operator


def register() -> None:
    """Add the page."""

    @ui.page("/alerts", title="Alerts · Roomtone")
    def alerts() -> None:
        with theme.frame("/alerts"):
            AlertsView(identity_of(ui.context.client.request).has_role("operator"))
