"""The page *Models*: what each device runs, the roll-out of releases, and all model cards."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from dashboard import theme
from dashboard.auth.middleware import identity_of


class ModelsView(ui.element, component=Path(__file__).parent / "models.js"):
    """Polls `/api/models` while the tab is visible."""

    def __init__(self, operator: bool) -> None:
        super().__init__()
        self.props["operator"] = operator


def register() -> None:
    """Add the page."""

    @ui.page("/models", title="Models · Roomtone")
    def models() -> None:
        with theme.frame("/models"):
            ModelsView(identity_of(ui.context.client.request).has_role("operator"))
