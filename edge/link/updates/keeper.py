"""The link's part in updates: when to look, what the ear is told, the probation, and what is published of it all.

One look is a child process (`agent.py`); everything here is on the link's loop and never blocks it for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from edge.config import Config
from edge.contract import Downward, EarHealth, ModelInfo, ModelStatus, SwapModel, TallyReport
from edge.errors import UserError
from edge.link.updates.agent import Outcome, Progress, Task, lines
from edge.link.updates.probation import Rules, Seen, judge
from edge.updates import state as states
from edge.updates.state import Baseline, State
from edge.updates.store import Store, folder_of

log = logging.getLogger(__name__)

LOOK_LIMIT_S: Final = 3600.0
"""A child that takes longer is ended; it goes on at the next look."""
REMEMBER_S: Final = 60.0
SOON_S: Final = 2.0
"""The first look comes after the first report of the ear."""


class Keeper:
    """`tell_ear` sends an order; `publish` is given every change of the status."""

    def __init__(
        self,
        config: Config,
        tell_ear: Callable[[Downward], bool],
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
        self._tallies: dict[str, TallyReport] = {}
        self._rss: tuple[float, float] | None = None
        self._progress: Progress | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_at = math.inf
        self._probation_since = math.inf
        self._remember_at = math.inf
        self._deaths = 0

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
            self._rss = None
        self._info = info
        self.changed()

    def ear_gone(self) -> None:
        """It has ended; on probation that counts against the model that it ran."""
        self._ear = False
        now = self._state
        if now.probation is not None and now.current is not None and self._runs_current():
            self._deaths += 1
            log.warning(
                "an ear has ended with %s, which is on probation (%d)", now.current.name, self._deaths
            )
            self._remember()

    def ear_health(self, health: EarHealth) -> None:
        """Its memory: grown since the model came?"""
        first = health.rss_mb if self._rss is None else self._rss[0]
        self._rss = (first, health.rss_mb)

    def tally(self, tally: TallyReport) -> None:
        """What a model has said so far."""
        self._tallies[tally.model_sha256] = tally
        while len(self._tallies) > 4:
            del self._tallies[next(iter(self._tallies))]
        now = self._state
        probation, current = now.probation, now.current
        if probation is None or current is None or probation.baseline.utterances:
            return
        if tally.model_sha256 != current.model_sha256:
            # The last word of the model before.
            self._change(lambda store: store.baseline(_baseline(tally)))

    # --- what people ask ---

    def announced(self) -> None:
        """Somebody says that there is something new. That is a hint, and nothing more."""
        if self._enabled:
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
            self._tell_ear(SwapModel())
            self.changed()
        now = self._loop.time()
        if self._state.probation is not None:
            self._watch(now)
        elif now >= self._look_at and self._task is None and self._info is not None:
            hours = self._config.updates.check_hours * random.uniform(0.9, 1.1)
            self._look_at = now + 3600 * hours
            self._task = self._loop.create_task(self._look())

    async def close(self) -> None:
        """Ends a look that is under way; it goes on next time."""
        if self._state.probation is not None:
            self._remember()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
        if self._task is not None:
            await self._task

    # --- one look ---

    async def _look(self) -> None:
        try:
            outcome = await self._ask_child()
        except (OSError, TimeoutError) as error:
            outcome = Outcome("failed", f"the look at the repository could not be made: {error}")
        finally:
            self._child, self._progress, self._task = None, None, None
        level = logging.WARNING if outcome.result in ("refused", "failed") else logging.INFO
        log.log(level, "models: %s%s", outcome.result, f": {outcome.text}" if outcome.text else "")
        self._read()
        if outcome.result == "switched":
            self._take_up()
            self._tell_ear(SwapModel())
        elif outcome.result == "failed" and not self._state.error:
            self._state = msgspec.structs.replace(self._state, error=outcome.text)
        self.changed()

    async def _ask_child(self) -> Outcome:
        assert self._info is not None
        current = self._state.current
        where = self._config.model.bundle if current is None else str(self._open().path(current))
        self._child = child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.link.updates",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        outcome = Outcome("failed", "the look at the repository ended without a word")
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                child.stdin.write(msgspec.json.encode(Task(self._config, (self._info.model_sha256, where))))
                with contextlib.suppress(ConnectionError):
                    await child.stdin.drain()
                child.stdin.close()
                async for line in child.stdout:
                    for found in lines(iter([line])):
                        if isinstance(found, Outcome):
                            outcome = found
                        else:
                            self._progress = found
                            self.changed()
                await child.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        return outcome

    # --- probation ---

    def _take_up(self) -> None:
        """A probation that has begun, or goes on after a restart."""
        probation = self._state.probation
        if probation is None:
            self._probation_since = math.inf
            return
        self._probation_since = self._loop.time() - probation.spent_s
        self._remember_at = self._loop.time() + REMEMBER_S
        self._deaths, self._rss = probation.deaths, None
        current = self._state.current
        assert current is not None
        log.info("%s is on probation", current.name)
        before = [t for sha, t in self._tallies.items() if sha != current.model_sha256]
        if before and probation.baseline.utterances == 0:
            self._change(lambda store: store.baseline(_baseline(before[-1])))

    def _watch(self, now: float) -> None:
        probation, current = self._state.probation, self._state.current
        if probation is None or current is None:
            return
        rules = Rules(self._config.updates.probation_minutes * 60, self._config.updates.probation_utterances)
        grown = 0.0 if self._rss is None else self._rss[1] - self._rss[0]
        seen = Seen(
            spent_s=now - self._probation_since, tally=self._tallies.get(current.model_sha256),
            running=self._runs_current(), ear=self._ear, deaths=self._deaths, grown_mb=grown,
        )  # fmt: skip
        verdict, why = judge(seen, probation.baseline, rules)
        if verdict == "bad":
            self._roll_back(f"{current.name} rolled back: {why}")
        elif verdict == "good" and self._change(lambda store: store.good()):
            log.info("%s is good", current.name)
            self._tell_ear(SwapModel())
            self.changed()
        elif now >= self._remember_at:
            self._remember_at = now + REMEMBER_S
            self._remember()

    def _roll_back(self, why: str) -> bool:
        if not self._change(lambda store: store.roll_back(why)):
            return False
        log.warning("%s", why)
        self._probation_since = math.inf
        self._tell_ear(SwapModel())
        self.changed()
        return True

    def _remember(self) -> None:
        spent = max(0.0, self._loop.time() - self._probation_since)
        if math.isfinite(spent):
            self._change(lambda store: store.on_probation(spent_s=spent, deaths=self._deaths))

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
        now = self._state
        installed = self._info.model.rpartition("-")[2]
        running = now.current if self._runs_current() else None
        progress = self._progress
        at_work = progress is not None and progress.stage != "looking"
        return ModelStatus(
            installed_version=installed,
            latest_version=now.latest or installed,
            in_progress=at_work,
            update_percentage=progress.percent if progress is not None and at_work else None,
            state=_stage(progress, now, running is not None),
            error=now.error[:300],
            model=self._info.model,
            release=running.release if running is not None else 0,
            refused=now.bad[-1].release if now.bad else 0,
        )


def _stage(progress: Progress | None, now: State, running: bool) -> Any:
    if progress is not None:
        return progress.stage
    if now.probation is not None:
        return "probation" if running else "switching"
    return "idle"


def _baseline(tally: TallyReport) -> Baseline:
    return Baseline(
        utterances=tally.utterances, uncertain=tally.uncertain, labels=tally.labels, p50_ms=tally.p50_ms
    )
