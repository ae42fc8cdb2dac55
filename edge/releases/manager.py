"""The link's part in model updates: when to check, when the ear reloads, the probation, and the published status.

The link reads the model store and never writes it: every change is a request to the update service. Everything here
runs on the link's event loop and does not block.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

import msgspec

from edge.config.settings import Config
from edge.protocol import (
    EarCommand,
    EarHealth,
    ModelInfo,
    ModelStatus,
    PredictionCountsReport,
    ReloadModel,
)
from edge.releases.check_schedule import CheckSchedule
from edge.releases.probation.monitor import ProbationMonitor
from edge.releases.status import model_status
from edge.releases.store import state as states
from edge.releases.store.state import State, folder_of
from edge.releases.update_service.client import UpdateClient
from edge.releases.update_service.messages import (
    Check,
    Confirm,
    Outcome,
    Progress,
    Request,
    RollBack,
    SaveProbation,
    SetReference,
)

log = logging.getLogger(__name__)

SAVE_INTERVAL_S: Final = 60.0
RETRY_CHANGE_S: Final = 60.0
"""After the update service has refused a change of the store or could not be reached."""
OnDone = Callable[[str], None]
"""Is called with the reason of a failure, or empty."""


class ReleaseManager:
    """Keeps the device's model up to date.

    Args:
        config: the device's configuration.
        send_to_ear: sends a command to the ear; False without one.
        publish: is called with every change of the status.
        loop: the link's event loop; no method may be called from another thread.
        service: the update service; replaced in tests.
    """

    def __init__(
        self,
        config: Config,
        send_to_ear: Callable[[EarCommand], bool],
        publish: Callable[[ModelStatus], None],
        loop: asyncio.AbstractEventLoop,
        service: UpdateClient | None = None,
    ) -> None:
        self._config = config
        self._send_to_ear = send_to_ear
        self._publish = publish
        self._loop = loop
        self._enabled = bool(config.updates.url)
        self._folder = folder_of(config)
        self._service = service or UpdateClient(config)
        self._schedule = CheckSchedule(config.updates)
        self._monitor = ProbationMonitor(config.updates)
        self._state = State()
        self._read_ns = 0
        self._published: ModelStatus | None = None
        self._info: ModelInfo | None = None
        self._connected = False
        self._progress: Progress | None = None
        self._check_task: asyncio.Task[None] | None = None
        self._changes: set[asyncio.Task[None]] = set()
        self._one_change = asyncio.Lock()
        self._change_at = -math.inf
        self._save_at = math.inf

    def start(self) -> None:
        """Continue with schedule and probation where the last start of the link ended."""
        self._read()
        if self._enabled:
            self._schedule.start(self._loop.time())
        self._resume_probation()

    # --- reports of the ear ---

    def on_ear_info(self, info: ModelInfo) -> None:
        """Handle the description of an ear that has connected, or that runs another model."""
        self._connected = True
        if self._info is None or info.model_sha256 != self._info.model_sha256:
            self._monitor.on_model_changed()
        self._info = info
        self.publish_changes()

    def on_ear_disconnected(self) -> None:
        """Handle the end of the ear; during a probation it counts as a crash of the model."""
        self._connected = False
        now = self._state
        if now.probation is not None and now.current is not None and self._runs_current():
            self._monitor.crashes += 1
            log.warning(
                "[ear_crashed] the ear has ended while it ran %s, which is on probation (%d)",
                now.current.name,
                self._monitor.crashes,
            )
            self._save_at = self._loop.time()

    def on_ear_health(self, health: EarHealth) -> None:
        """Handle a health report of the ear."""
        self._monitor.on_health(health)

    def on_counts(self, counts: PredictionCountsReport) -> None:
        """Keep a model's latest prediction counts, by which `tick` validates a model on probation."""
        self._monitor.on_counts(counts)

    # --- requests ---

    def on_announcement(self, payload: bytes) -> None:
        """Handle a message about a new release: a hint that carries no trust. Raises nothing."""
        if self._enabled:
            self._schedule.on_announcement(payload, self._loop.time())

    def request_check(self) -> str:
        """Request a check for updates now; return the reason why there is none, or an empty text.

        A check that is running counts as the requested one.
        """
        if not self._enabled:
            return "updates are not configured on this device (updates.url)"
        if self._check_task is None:
            self._schedule.request(self._loop.time())
        return ""

    def roll_back(self, reason: str, on_done: OnDone) -> None:
        """Go back to the previous model; `on_done` is called when that is done, or cannot be."""
        if self._state.current is None:
            on_done("the model of the package runs: there is nothing to go back from")
        else:
            self._submit(RollBack(reason[:300]), on_done)

    # --- periodic work ---

    def tick(self) -> None:
        """Do what is due: start a check, follow the probation, have the ear reload. Call it about once a second."""
        if self._read():
            # Changed at the device (`roomtone model rollback`), or by a request of ours.
            self._resume_probation()
            self._send_to_ear(ReloadModel())
            self.publish_changes()
        now = self._loop.time()
        if self._state.probation is not None:
            if not self._changes and now >= self._change_at:
                self._on_probation(now)
        elif self._schedule.due(now) and self._check_task is None and self._info is not None:
            self._schedule.begin()
            self._check_task = self._loop.create_task(self._check())

    async def close(self) -> None:
        """End a check that is running (the next one resumes it), and save the progress of the probation."""
        tasks = [*self._changes, *([self._check_task] if self._check_task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if (request := self._save_request()) is not None:
            await self._service.send(request)

    # --- one check ---

    async def _check(self) -> None:
        try:
            outcome = await self._service.send(Check(), self._on_progress)
        finally:
            self._progress, self._check_task = None, None
        failed = outcome.result == "failed"
        level = logging.WARNING if outcome.result in ("refused", "failed") else logging.INFO
        log.log(level, "[check_%s] %s", outcome.result, outcome.text or "check for updates")
        self._schedule.finished(self._loop.time(), failed=failed, timestamp_version=outcome.timestamp_version)
        self.tick()
        if failed and not self._state.error:
            self._state = msgspec.structs.replace(self._state, error=outcome.text)
        self.publish_changes()

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        self.publish_changes()

    # --- probation ---

    def _resume_probation(self) -> None:
        """Start watching a probation, or continue after a restart."""
        now = self._loop.time()
        self._monitor.begin(self._state.probation, now)
        if self._state.probation is not None and self._state.current is not None:
            self._save_at = now + SAVE_INTERVAL_S
            log.info("[probation_started] %s", self._state.current.name)

    def _on_probation(self, now: float) -> None:
        probation, current = self._state.probation, self._state.current
        if probation is None or current is None:
            return
        decision, why = self._monitor.decide(
            current, probation, now, running=self._runs_current(), connected=self._connected
        )
        reference = None if probation.reference.utterances else self._monitor.reference(self._state)
        if decision == "fail":
            self._submit(RollBack(f"{current.name} rolled back: {why}"[:300]))
        elif decision == "pass":
            self._submit(Confirm())
        elif reference is not None:
            self._submit(SetReference(reference))
        elif now >= self._save_at and (request := self._save_request()) is not None:
            self._save_at = now + SAVE_INTERVAL_S
            self._submit(request)

    def _save_request(self) -> SaveProbation | None:
        spent = self._monitor.spent_s(self._loop.time())
        return None if spent is None else SaveProbation(spent, self._monitor.crashes)

    def _runs_current(self) -> bool:
        current = self._state.current
        return (
            current is not None and self._info is not None and self._info.model_sha256 == current.model_sha256
        )

    # --- the store ---

    def _submit(self, request: Request, on_done: OnDone = lambda _: None) -> None:
        """Have the update service change the store, one request at a time."""
        task = self._loop.create_task(self._change(request, on_done))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _change(self, request: Request, on_done: OnDone) -> None:
        async with self._one_change:
            outcome = await self._service.send(request)
        if outcome.result == "done":
            self._log_change(request)
        else:
            log.error("[update_service_failed] %s", outcome.text)
            self._change_at = self._loop.time() + RETRY_CHANGE_S
        self.tick()
        on_done(_failure(outcome))

    def _log_change(self, request: Request) -> None:
        name = self._state.current.name if self._state.current is not None else ""
        if isinstance(request, RollBack):
            log.warning("[rolled_back] %s", request.reason)
        elif isinstance(request, Confirm):
            log.info("[probation_passed] %s", name)

    def _read(self) -> bool:
        """Read the state where it has changed on disk; whether what the ear has to load may be different."""
        try:
            modified = (self._folder / states.STATE).stat().st_mtime_ns
        except OSError:
            modified = 0
        if modified == self._read_ns:
            return False
        self._read_ns = modified
        before, self._state = self._state, states.read_or_new(self._folder)
        ended = before.probation is not None and self._state.probation is None
        return before.current != self._state.current or ended

    # --- the published status ---

    def publish_changes(self) -> None:
        """Publish the status of the model if it has changed."""
        status = self.status()
        if status is not None and status != self._published:
            self._published = status
            self._publish(status)

    def status(self) -> ModelStatus | None:
        """Return the present status of the model; None before the ear has connected."""
        if self._info is None:
            return None
        return model_status(self._state, self._info, self._progress, running=self._runs_current())


def _failure(outcome: Outcome) -> str:
    return "" if outcome.result == "done" else outcome.text or "the update service refused it"
