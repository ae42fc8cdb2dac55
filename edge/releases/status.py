"""The published status of a device's model (`B/N/model`), as the dashboard and Home Assistant read it."""

from __future__ import annotations

from typing import Any

from edge.protocol import ModelInfo, ModelStatus
from edge.protocol.bundle_name import BundleName
from edge.releases.store.state import State
from edge.releases.update_service.messages import Progress


def model_status(now: State, info: ModelInfo, progress: Progress | None, *, running: bool) -> ModelStatus:
    """Build the status. `running`: whether the ear, described by `info`, runs the store's current model."""
    name = BundleName.parse_or_none(info.model)
    installed = info.model[:32] if name is None else str(name.version)
    current = now.current if running else None
    at_work = progress is not None and progress.stage != "checking"
    return ModelStatus(
        installed_version=installed,
        latest_version=now.latest or installed,
        in_progress=at_work,
        update_percentage=progress.percent if progress is not None and at_work else None,
        state=_stage(progress, now, current is not None),
        error=now.error[:300],
        model=info.model,
        release=current.release if current is not None else 0,
        refused=now.refused_models[-1].release if now.refused_models else 0,
    )


def _stage(progress: Progress | None, now: State, running: bool) -> Any:
    if progress is not None:
        return progress.stage
    if now.probation is not None:
        return "probation" if running else "switching"
    return "idle"
