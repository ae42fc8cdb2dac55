"""What `roomtone model status` reports: the model, the baseline and the pushed releases, as a structure and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from edge.util.text.terminal import printable

if TYPE_CHECKING:
    from edge.config.settings import Config
    from edge.ear.model_selection import SelectedModel
    from edge.inference.bundle import Bundle


class BaselineStatus(Struct, frozen=True, kw_only=True):
    """The baseline of this room as it is on disk; the numbers are 0 while nothing has been saved."""

    enabled: bool
    """Whether the ear adapts to the room."""
    reason: str | None
    """Why there is no baseline, or why the saved one will not be used; null where there is nothing to explain."""
    file: str
    utterances: int
    """Utterances in the saved baseline; fewer than 20 are not saved."""
    shrinkage: float
    """How far the estimate has moved from ordinary speech in general to this room, 0 to 1."""
    since: str | None
    """When this baseline was started (UTC)."""
    saved: str | None
    """When it was last saved (UTC)."""


class ReleaseStatus(Struct, frozen=True, kw_only=True):
    """The releases that were pushed to this device."""

    folder: str
    shipped: bool
    """Whether the model of the package runs, not a pushed one."""
    release: int
    """Number of the release that runs; 0 where the model of the package runs."""
    floor: int
    """Releases up to this number are never installed."""
    probation: bool
    """Whether the release that runs is on probation."""
    previous: str | None
    """What a rollback activates; null for the model of the package."""
    refused: tuple[str, ...]
    """Releases that were rolled back or refused here and are never installed again."""
    error: str
    """The last error of an update; empty for none."""


class ModelStatus(Struct, frozen=True, kw_only=True):
    """What `roomtone model status --json` prints."""

    model: str
    path: str
    sha256: str
    kernels: str
    temperature: float
    abstain_below: float
    """Confidence below which an utterance is `uncertain`."""
    min_ms: int
    """Speech shorter than this is `uncertain`."""
    baseline: BaselineStatus
    releases: ReleaseStatus


def read_status(config: Config) -> ModelStatus:
    """Read the bundle, the baseline file and the release store. Raises `UserError`."""
    from edge.ear.model_selection import ModelSelector

    chosen = ModelSelector(config).selected()
    found = chosen.bundle
    manifest = found.manifest
    threshold = config.model.abstain_below
    return ModelStatus(
        model=found.full_name,
        path=str(found.path),
        sha256=found.sha256,
        kernels=manifest.kernels,
        temperature=manifest.temperature,
        abstain_below=manifest.abstain_below if threshold is None else threshold,
        min_ms=manifest.min_ms,
        baseline=_baseline_status(config, found),
        releases=_release_status(config, chosen),
    )


def _release_status(config: Config, chosen: SelectedModel) -> ReleaseStatus:
    from edge.releases.store.state import folder_of, read_or_new

    now = read_or_new(folder_of(config))
    return ReleaseStatus(
        folder=str(folder_of(config)),
        shipped=chosen.slot is None,
        release=chosen.slot.release if chosen.slot is not None else 0,
        floor=now.floor,
        probation=chosen.on_probation,
        previous=now.previous.name if now.previous is not None else None,
        refused=tuple(one.name for one in now.refused_models),
        error=now.error,
    )


def _baseline_status(config: Config, bundle: Bundle) -> BaselineStatus:
    from edge.ear import baseline_file
    from edge.inference.baseline import Baseline
    from edge.inference.bundle import BundleError
    from edge.util.errors import UserError

    path = baseline_file.baseline_path(config)
    if not config.baseline.enabled:
        return _no_baseline(str(path), "`baseline.enabled` is off", enabled=False)
    try:
        baseline = Baseline.from_bundle(bundle, config.baseline.memory)
    except BundleError as error:
        return _no_baseline(str(path), str(error), enabled=False)
    try:
        saved = baseline_file.read(path)
        if saved is None or not saved.baseline.utterances:
            return _no_baseline(str(path), None, since=saved.since if saved else None)
        if saved.model_sha256 != bundle.sha256:
            return _no_baseline(
                str(path), f"it belongs to another model ({saved.model}) and will be replaced"
            )
        baseline.restore(saved.baseline)
    except PermissionError:
        raise UserError(f"{path}: only the ear and root may read it: use sudo") from None
    except (baseline_file.BaselineFileError, ValueError) as error:
        return _no_baseline(str(path), f"the file is damaged and will be replaced: {error}")
    return BaselineStatus(
        enabled=True,
        reason=None,
        file=str(path),
        utterances=baseline.utterances,
        shrinkage=round(baseline.shrinkage, 3),
        since=saved.since,
        saved=saved.saved,
    )


def _no_baseline(
    file: str, reason: str | None, *, enabled: bool = True, since: str | None = None
) -> BaselineStatus:
    return BaselineStatus(
        enabled=enabled,
        reason=reason,
        file=file,
        utterances=0,
        shrinkage=0.0,
        since=since,
        saved=None,
    )


def format_status(status: ModelStatus) -> str:
    """Format the status as text, one subject a line."""
    lines = [
        f"model      {status.model} at {status.path}",
        f"sha256     {status.sha256}",
        f"inference  {status.kernels}, temperature {status.temperature:g}",
        f"uncertain  below a confidence of {status.abstain_below:g}, and for less than {status.min_ms} ms of speech",
        *_format_baseline(status.baseline),
        *_format_releases(status.releases),
    ]
    return "\n".join(printable(line) for line in lines)


def _format_baseline(baseline: BaselineStatus) -> list[str]:
    lines = []
    if not baseline.enabled:
        lines.append(f"baseline   off: {baseline.reason}")
    elif not baseline.utterances:
        since = f" since {baseline.since}" if baseline.since else ""
        lines.append(f"baseline   no data yet{since}{f' ({baseline.reason})' if baseline.reason else ''}")
    else:
        lines += [
            f"baseline   {baseline.utterances} utterances since {baseline.since}, saved {baseline.saved}",
            f"           {baseline.shrinkage:.0%} of the way from ordinary speech in general to this room",
        ]
    return [*lines, f"file       {baseline.file}"]


def _format_releases(releases: ReleaseStatus) -> list[str]:
    if releases.shipped:
        lines = [
            f"release    none: the model of the package runs (releases above {releases.floor} are accepted)"
        ]
    else:
        state = "on probation" if releases.probation else "confirmed"
        lines = [
            f"release    {releases.release}, {state}; releases above {releases.floor} are accepted",
            f"rollback   to {releases.previous or 'the model of the package'}",
        ]
    lines.append(f"store      {releases.folder}")
    if releases.refused:
        lines.append(f"refused    {', '.join(releases.refused)}")
    if releases.error:
        lines.append(f"error      {releases.error}")
    return lines
