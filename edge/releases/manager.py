"""The link's part in model updates: when to check, when the ear reloads, the probation, and the published status.

A check runs in a process of its own (`check_process.py`); everything here runs on the link's loop and does not block.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from edge.config.settings import Config
from edge.protocol.messages import (
    Announcement,
    EarCommand,
    EarHealth,
    ModelInfo,
    ModelStatus,
    PredictionCountsReport,
    ReloadModel,
)
from edge.releases import state as states
from edge.releases.check_process import CheckProcess
from edge.releases.probation_monitor import ProbationMonitor
from edge.releases.state import State, folder_of
from edge.releases.status import model_status
from edge.releases.store import Store
from edge.releases.update_check import Progress
from edge.util.errors import UserError

log = logging.getLogger(__name__)

SAVE_INTERVAL_S: Final = 60.0
RETRY_S: Final = 900.0
"""Delay after a failed check; it doubles with each further failure."""
FIRST_CHECK_S: Final = 2.0
"""Delay of the first check after a start."""


class ReleaseManager:
    """Keeps the device's model up to date.

    Args:
        config: the device's configuration.
        send_to_ear: sends a command to the ear; False without one.
        publish: is called with every change of the status.
        loop: the link's event loop; no method may be called from another thread.
    """

    def __init__(
        self,
        config: Config,
        send_to_ear: Callable[[EarCommand], bool],
        publish: Callable[[ModelStatus], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._config = config
        self._send_to_ear = send_to_ear
        self._publish = publish
        self._loop = loop
        self._enabled = bool(config.updates.url)
        self._folder = folder_of(config)
        self._store: Store | None = None
        self._state = State()
        self._read_ns = 0
        self._published: ModelStatus | None = None
        self._info: ModelInfo | None = None
        self._connected = False
        self._monitor = ProbationMonitor(config.updates)
        self._progress: Progress | None = None
        self._process: CheckProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._check_at = math.inf
        self._failures = 0
        self._timestamp_version = self._ignored_version = 0
        """Versions of the timestamp metadata: verified by the last check, and in the last ignored announcement."""
        self._save_at = math.inf

    def start(self) -> None:
        """Continue where the last start of the link ended."""
        self._read()
        if self._enabled:
            try:
                self._open().recover()
            except UserError as error:
                log.error("models cannot be updated: %s", error)
            self._read()
            # Not all devices of a house at once after a power cut.
            self._check_at = (
                self._loop.time() + FIRST_CHECK_S + random.uniform(0, self._config.updates.jitter_s)
            )
        self._resume_probation()

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._folder)
        return self._store

    # --- reports of the ear ---

    def on_ear_info(self, info: ModelInfo) -> None:
        """The ear has connected, or runs another model."""
        self._connected = True
        if self._info is None or info.model_sha256 != self._info.model_sha256:
            self._monitor.on_model_changed()
        self._info = info
        self.publish_changes()

    def on_ear_disconnected(self) -> None:
        """The ear has ended; during a probation that counts as a crash of its model."""
        self._connected = False
        now = self._state
        if now.probation is not None and now.current is not None and self._runs_current():
            self._monitor.crashes += 1
            log.warning(
                "the ear has ended while it ran %s, which is on probation (%d)",
                now.current.name,
                self._monitor.crashes,
            )
            self._save_probation()

    def on_ear_health(self, health: EarHealth) -> None:
        """The ear has reported its health."""
        self._monitor.on_health(health)

    def on_counts(self, counts: PredictionCountsReport) -> None:
        """The ear has reported the prediction counts of a model."""
        self._monitor.on_counts(counts)
        self._set_reference()

    def _set_reference(self) -> None:
        """Keep the counts of the previous model, once, for the comparison."""
        probation = self._state.probation
        if probation is None or probation.reference.utterances:
            return
        reference = self._monitor.reference(self._state)
        if reference is not None:
            self._change(lambda store: store.set_reference(reference))

    # --- requests ---

    def on_announcement(self, payload: bytes) -> None:
        """A message says that there is a new release: a hint that carries no trust. Raises nothing."""
        if not self._enabled:
            return
        try:
            version = msgspec.json.decode(payload, type=Announcement).timestamp_version
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("models: an invalid announcement is ignored")
            return
        if version <= self._timestamp_version:
            # The retained announcement comes with every connection, and a replayed one must have no effect.
            if version != self._ignored_version:
                self._ignored_version = version
                log.info(
                    "models: the announcement of timestamp %d is old or replayed, and ignored: %d was verified",
                    version, self._timestamp_version,
                )  # fmt: skip
            return
        soon = self._loop.time() + random.uniform(0, self._config.updates.jitter_s)
        self._check_at = min(self._check_at, soon)

    def request_check(self) -> str:
        """Check for updates now; the reason why not, or empty."""
        if not self._enabled:
            return "updates are not configured on this device (updates.url)"
        if self._process is not None:
            return ""
        self._check_at = self._loop.time()
        return ""

    def roll_back(self, why: str) -> str:
        """Go back to the previous model; the reason why not, or empty."""
        if self._state.current is None:
            return "the model of the package runs: there is nothing to go back from"
        return "" if self._roll_back(why) else "the model store cannot be written"

    # --- periodic work ---

    def tick(self) -> None:
        """Must be called about once a second."""
        if self._read():
            # The state was changed at the device: `roomtone model rollback`.
            self._resume_probation()
            self._send_to_ear(ReloadModel())
            self.publish_changes()
        now = self._loop.time()
        if self._state.probation is not None:
            self._on_probation(now)
        elif now >= self._check_at and self._task is None and self._info is not None:
            self._check_at = math.inf
            self._task = self._loop.create_task(self._check())

    async def close(self) -> None:
        """End a check that is running; the next one resumes it."""
        if self._state.probation is not None:
            self._save_probation()
        if self._process is not None:
            self._process.kill()
        if self._task is not None:
            await self._task

    # --- one check ---

    async def _check(self) -> None:
        assert self._info is not None
        current = self._state.current
        where = (
            self._config.model.bundle
            if current is None
            else str(self._folder / states.SLOTS / current.folder)
        )
        self._process = CheckProcess(self._config, (self._info.model_sha256, where), self._on_progress)
        outcome = await self._process.run()
        self._process, self._progress, self._task = None, None, None
        level = logging.WARNING if outcome.result in ("refused", "failed") else logging.INFO
        log.log(level, "models: %s%s", outcome.result, f": {outcome.text}" if outcome.text else "")
        self._schedule(failed=outcome.result == "failed")
        self._timestamp_version = outcome.timestamp_version or self._timestamp_version
        self._read()
        if outcome.result == "switched":
            self._resume_probation()
            self._send_to_ear(ReloadModel())
        elif outcome.result == "failed" and not self._state.error:
            self._state = msgspec.structs.replace(self._state, error=outcome.text)
        self.publish_changes()

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        self.publish_changes()

    def _schedule(self, *, failed: bool) -> None:
        """Set the time of the next check, which an announcement may bring forward."""
        self._failures = self._failures + 1 if failed else 0
        seconds = 3600 * self._config.updates.check_hours
        if failed:
            seconds = min(seconds, RETRY_S * 2 ** min(self._failures - 1, 20))
        self._check_at = min(self._check_at, self._loop.time() + seconds * random.uniform(0.9, 1.1))

    # --- probation ---

    def _resume_probation(self) -> None:
        """Start watching a probation, or continue after a restart."""
        now = self._loop.time()
        self._monitor.begin(self._state.probation, now)
        if self._state.probation is None or self._state.current is None:
            return
        self._save_at = now + SAVE_INTERVAL_S
        log.info("%s is on probation", self._state.current.name)
        self._set_reference()

    def _on_probation(self, now: float) -> None:
        probation, current = self._state.probation, self._state.current
        if probation is None or current is None:
            return
        decision, why = self._monitor.decide(
            current, probation, now, running=self._runs_current(), connected=self._connected
        )
        if decision == "fail":
            self._roll_back(f"{current.name} rolled back: {why}")
        elif decision == "pass" and self._change(lambda store: store.confirm()):
            log.info("%s has passed its probation", current.name)
            self._send_to_ear(ReloadModel())
            self.publish_changes()
        elif now >= self._save_at:
            self._save_at = now + SAVE_INTERVAL_S
            self._save_probation()

    def _roll_back(self, why: str) -> bool:
        if not self._change(lambda store: store.roll_back(why)):
            return False
        log.warning("%s", why)
        self._monitor.begin(None, self._loop.time())
        self._send_to_ear(ReloadModel())
        self.publish_changes()
        return True

    def _save_probation(self) -> None:
        spent = self._monitor.spent_s(self._loop.time())
        if spent is not None:
            self._change(lambda store: store.save_probation(spent_s=spent, crashes=self._monitor.crashes))

    def _runs_current(self) -> bool:
        current = self._state.current
        return (
            current is not None and self._info is not None and self._info.model_sha256 == current.model_sha256
        )

    # --- the store ---

    def _change(self, change: Callable[[Store], Any]) -> bool:
        try:
            self._state = change(self._open())
        except UserError as error:
            log.error("%s", error)
            return False
        self._read_ns = self._modified_ns()
        return True

    def _read(self) -> bool:
        """Read the state where another process has changed it; whether the current model is another one."""
        modified = self._modified_ns()
        if modified == self._read_ns:
            return False
        self._read_ns = modified
        before, self._state = self._state, states.read_or_new(self._folder)
        return before.current != self._state.current and self._task is None

    def _modified_ns(self) -> int:
        try:
            return (self._folder / states.STATE).stat().st_mtime_ns
        except OSError:
            return 0

    # --- the published status ---

    def publish_changes(self) -> None:
        """Publish the status if it has changed."""
        status = self.status()
        if status is not None and status != self._published:
            self._published = status
            self._publish(status)

    def status(self) -> ModelStatus | None:
        """The present status; None before the ear has connected."""
        if self._info is None:
            return None
        return model_status(self._state, self._info, self._progress, running=self._runs_current())
