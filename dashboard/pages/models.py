"""Models: what every box runs, how far a release has come, and the cards of all of them."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme
from dashboard.auth.middleware import identity_of


class ModelsView(ui.element, component=Path(__file__).parent / "models.js"):
    """Asks `/api/models` while somebody can see it."""

    def __init__(self, operator: bool) -> None:
        super().__init__()
        self.props["operator"] = operator


def register() -> None:
    """Adds the page."""

    @ui.page("/models", title="Models · Roomtone")
    def models() -> None:
        with theme.frame("/models"):
            ModelsView(identity_of(ui.context.client.request).may("operator"))
