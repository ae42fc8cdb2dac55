"""The link's part in updates: when to look, what the ear is told, the probation, and what is published of it all.

One look is a child process (`agent.py`); everything here is on the link's loop and never blocks it for long.
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
from edge.releases import status as report
from edge.releases.child_process import Child
from edge.releases.probation_counts import Watch
from edge.releases.state import State
from edge.releases.store import Store, folder_of
from edge.releases.update_check import Progress
from edge.util.errors import UserError

log = logging.getLogger(__name__)

REMEMBER_S: Final = 60.0
AGAIN_S: Final = 900.0
"""After a look that has failed the next one comes so soon, then after twice the time, and so on."""
SOON_S: Final = 2.0
"""The first look comes after the first report of the ear."""


class Keeper:
    """`tell_ear` sends an order; `publish` is given every change of the status."""

    def __init__(
        self,
        config: Config,
        tell_ear: Callable[[EarCommand], bool],
        publish: Callable[[ModelStatus], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._config = config
        self._tell_ear = tell_ear
        self._publish = publish
        self._loop = loop
        self._enabled = bool(config.updates.url)
        self._folder = folder_of(config)
        self._store: Store | None = None
        self._state = State()
        self._stamp = 0
        self._told: ModelStatus | None = None
        self._info: ModelInfo | None = None
        self._ear = False
        self._watch = Watch(config.updates)
        self._progress: Progress | None = None
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_at = math.inf
        self._failures = 0
        self._seen = self._ignored = 0
        """Versions of the timestamp: that of the last look, and the last one that was announced in vain."""
        self._remember_at = math.inf

    def start(self) -> None:
        """Takes up what was left."""
        self._read()
        if self._enabled:
            try:
                self._open().recover()
            except UserError as error:
                log.error("models cannot be updated: %s", error)
            self._read()
            # Not all boxes of a house at once after a power cut.
            self._look_at = self._loop.time() + SOON_S + random.uniform(0, self._config.updates.jitter_s)
        self._take_up()

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._folder)
        return self._store

    # --- what the link tells us ---

    def ear_is(self, info: ModelInfo) -> None:
        """What it runs."""
        self._ear = True
        if self._info is None or info.model_sha256 != self._info.model_sha256:
            self._watch.other_model()
        self._info = info
        self.changed()

    def ear_gone(self) -> None:
        """It has ended; on probation that counts against the model that it ran."""
        self._ear = False
        now = self._state
        if now.probation is not None and now.current is not None and self._runs_current():
            self._watch.deaths += 1
            log.warning(
                "an ear has ended with %s, which is on probation (%d)", now.current.name, self._watch.deaths
            )
            self._remember()

    def ear_health(self, health: EarHealth) -> None:
        """Its figures."""
        self._watch.health(health)

    def tally(self, tally: PredictionCountsReport) -> None:
        """What a model has said so far."""
        self._watch.tally(tally)
        self._compare()

    def _compare(self) -> None:
        """Remembers what the model before has said, once, to compare with it."""
        probation = self._state.probation
        if probation is None or probation.baseline.utterances:
            return
        baseline = self._watch.before(self._state)
        if baseline is not None:
            self._change(lambda store: store.baseline(baseline))

    # --- what people ask ---

    def announced(self, payload: bytes) -> None:
        """Somebody says that there is something new. That is a hint, and nothing more. Raises nothing."""
        if not self._enabled:
            return
        try:
            version = msgspec.json.decode(payload, type=Announcement).timestamp_version
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("models: an announcement that makes no sense is ignored")
            return
        if version <= self._seen:
            # An operator's retained one comes with every connection; whoever repeats an old one gets nothing.
            if version != self._ignored:
                self._ignored = version
                log.info(
                    "models: the announcement of timestamp %d is old, or replayed, and is ignored: %d has been seen",
                    version, self._seen,
                )  # fmt: skip
            return
        soon = self._loop.time() + random.uniform(0, self._config.updates.jitter_s)
        self._look_at = min(self._look_at, soon)

    def check(self) -> str:
        """A look now; why not, or nothing."""
        if not self._enabled:
            return "updates are not configured on this box (updates.url)"
        if self._child is not None:
            return ""
        self._look_at = self._loop.time()
        return ""

    def roll_back(self, why: str) -> str:
        """Back to the model before; why not, or nothing."""
        if self._state.current is None:
            return "the model of the package runs: there is nothing to go back from"
        return "" if self._roll_back(why) else "the store of models cannot be written"

    # --- the passing of time ---

    def tick(self) -> None:
        """To be called every second or so."""
        if self._read():
            # Somebody at the box has changed it: `roomtone model rollback`.
            self._take_up()
            self._tell_ear(ReloadModel())
            self.changed()
        now = self._loop.time()
        if self._state.probation is not None:
            self._on_probation(now)
        elif now >= self._look_at and self._task is None and self._info is not None:
            self._look_at = math.inf
            self._task = self._loop.create_task(self._look())

    async def close(self) -> None:
        """Ends a look that is under way; it goes on next time."""
        if self._state.probation is not None:
            self._remember()
        if self._child is not None:
            self._child.kill()
        if self._task is not None:
            await self._task

    # --- one look ---

    async def _look(self) -> None:
        assert self._info is not None
        current = self._state.current
        where = (
            self._config.model.bundle
            if current is None
            else str(self._folder / states.SLOTS / current.folder)
        )
        self._child = Child(self._config, (self._info.model_sha256, where), self._tell)
        outcome = await self._child.run()
        self._child, self._progress, self._task = None, None, None
        level = logging.WARNING if outcome.result in ("refused", "failed") else logging.INFO
        log.log(level, "models: %s%s", outcome.result, f": {outcome.text}" if outcome.text else "")
        self._next_look(failed=outcome.result == "failed")
        self._seen = outcome.seen or self._seen
        self._read()
        if outcome.result == "switched":
            self._take_up()
            self._tell_ear(ReloadModel())
        elif outcome.result == "failed" and not self._state.error:
            self._state = msgspec.structs.replace(self._state, error=outcome.text)
        self.changed()

    def _tell(self, progress: Progress) -> None:
        self._progress = progress
        self.changed()

    def _next_look(self, *, failed: bool) -> None:
        """An announcement may bring it forward."""
        self._failures = self._failures + 1 if failed else 0
        seconds = 3600 * self._config.updates.check_hours
        if failed:
            seconds = min(seconds, AGAIN_S * 2 ** min(self._failures - 1, 20))
        self._look_at = min(self._look_at, self._loop.time() + seconds * random.uniform(0.9, 1.1))

    # --- probation ---

    def _take_up(self) -> None:
        """A probation that has begun, or goes on after a restart."""
        now = self._loop.time()
        self._watch.begin(self._state.probation, now)
        if self._state.probation is None or self._state.current is None:
            return
        self._remember_at = now + REMEMBER_S
        log.info("%s is on probation", self._state.current.name)
        self._compare()

    def _on_probation(self, now: float) -> None:
        probation, current = self._state.probation, self._state.current
        if probation is None or current is None:
            return
        verdict, why = self._watch.judge(current, probation, now, running=self._runs_current(), ear=self._ear)
        if verdict == "bad":
            self._roll_back(f"{current.name} rolled back: {why}")
        elif verdict == "good" and self._change(lambda store: store.good()):
            log.info("%s is good", current.name)
            self._tell_ear(ReloadModel())
            self.changed()
        elif now >= self._remember_at:
            self._remember_at = now + REMEMBER_S
            self._remember()

    def _roll_back(self, why: str) -> bool:
        if not self._change(lambda store: store.roll_back(why)):
            return False
        log.warning("%s", why)
        self._watch.begin(None, self._loop.time())
        self._tell_ear(ReloadModel())
        self.changed()
        return True

    def _remember(self) -> None:
        spent = self._watch.spent_s(self._loop.time())
        if spent is not None:
            self._change(lambda store: store.on_probation(spent_s=spent, deaths=self._watch.deaths))

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
        self._stamp = self._stamped()
        return True

    def _read(self) -> bool:
        """Reads the state where somebody else has changed it; whether that touches the model that runs."""
        stamp = self._stamped()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        before, self._state = self._state, states.read_or_new(self._folder)
        return before.current != self._state.current and self._task is None

    def _stamped(self) -> int:
        try:
            return (self._folder / states.STATE).stat().st_mtime_ns
        except OSError:
            return 0

    # --- what is published ---

    def changed(self) -> None:
        """Publishes the status if it is another."""
        status = self.status()
        if status is not None and status != self._told:
            self._told = status
            self._publish(status)

    def status(self) -> ModelStatus | None:
        """As people and Home Assistant read it; None before the first ear."""
        if self._info is None:
            return None
        return report.of(self._state, self._info, self._progress, running=self._runs_current())
