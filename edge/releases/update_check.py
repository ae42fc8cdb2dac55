"""One look at the repository, from the timestamp to the switch, in a process of its own that ends.

    python -m edge.releases < configuration    one line of JSON for each step of progress, and the outcome

Killed at any point it goes on at the next look, or leaves nothing. Probation is the link's affair (`keeper.py`).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from tuf.api.exceptions import DownloadError

from edge.config.settings import Config
from edge.releases.archive import ArchiveError
from edge.releases.client import Client, UpdateError
from edge.releases.download import HttpsFetcher
from edge.releases.metadata import (
    Choice,
    Device,
    Target,
    choose,
    runtime,
)
from edge.releases.state import Candidate, State
from edge.releases.store import GATE_TRIES, Store, folder_of
from edge.releases.validation import client as door
from edge.releases.validation.messages import Ask, Budget
from edge.util import system_clock
from edge.util.atomic_file import Step, no_step
from edge.util.errors import UserError

Result = Literal["nothing", "switched", "adopted", "refused", "failed"]
DOWNLOADED: Final = 80
"""Percent of an update that is the download."""


class Progress(Struct, frozen=True, tag="progress", tag_field="t"):
    """A line on the way."""

    stage: str
    percent: int


class Outcome(Struct, frozen=True, tag="outcome", tag_field="t"):
    """The last line. `refused`: the release is to blame; `failed`: it is worth another try."""

    result: Result
    text: str = ""
    seen: int = 0
    """Version of the timestamp that was verified; 0: none was asked for, or the look has failed."""


Line = Progress | Outcome
Tell = Callable[[Progress], None]


class Agent:
    """`running`: sha256 of the model that runs now, and where it is. Everything that a test replaces is a parameter."""

    def __init__(
        self,
        config: Config,
        running: tuple[str, str] = ("", ""),
        *,
        tell: Tell = lambda _: None,
        step: Step = no_step,
        fetcher: Any = None,
        synced: Callable[[], bool] = system_clock.synced,
        budget: Budget | None = None,
        device: Device | None = None,
    ) -> None:
        self._config = config
        self._running = running
        self._tell = tell
        self._fetcher = fetcher
        self._step = step
        self._synced = synced
        self._budget = budget or Budget()
        self._device = device
        self._store = Store(folder_of(config), step)
        self._seen = 0

    def run(self) -> Outcome:
        """One look. Never raises `UserError`."""
        try:
            return msgspec.structs.replace(self._run(), seen=self._seen)
        except (UserError, DownloadError) as error:
            with contextlib.suppress(UserError):
                self._store.note(error=str(error))
            return Outcome("failed", str(error))

    def _run(self) -> Outcome:
        now = self._store.recover()
        if now.probation is not None:
            return Outcome("nothing", "the model is on probation; nothing new before that is over")
        candidate = now.candidate
        if candidate is not None and candidate.stage != "wanted":
            # It was verified when it came, and what was verified stays so.
            return self._from_archive(candidate)
        client, choice = self._look(now)
        if choice.target is None:
            if candidate is not None:
                self._store.abandon(candidate, choice.why_not, for_good=False)
            latest = choice.newest.release.version if choice.newest is not None else ""
            self._store.note(latest=latest, error=choice.why_not or client.odd)
            return Outcome("refused" if choice.why_not else "nothing", choice.why_not or choice.elsewhere)
        return self._install(client, choice.target, now)

    def _look(self, now: State) -> tuple[Client, Choice]:
        updates = self._config.updates
        if updates.clock == "checked" and not self._synced():
            raise UpdateError(
                "the clock is not synchronised, so nobody knows what has expired; the look is made when it is "
                '(`updates.clock = "trusted"` where the host of a container keeps it)'
            )
        self._tell(Progress("checking", 0))
        fetcher = self._fetcher or HttpsFetcher(updates.ca_file or self._config.mqtt.ca_file, self._step)
        client = Client(updates.url, Path(updates.root_file), self._store.tuf, fetcher)
        targets = client.refresh()
        self._seen = client.timestamp_version()
        self._step("metadata: verified")
        device = self._device or device_of(self._config)
        device = _with(device, floor=now.floor, bad=now.refused)
        return client, choose(targets, device)

    def _install(self, client: Client, target: Target, now: State) -> Outcome:
        if target.release.model_sha256 == self._running[0]:
            return self._adopt(target)
        candidate = self._store.want(target)
        self._store.note(latest=target.release.version)
        slot = candidate.slot
        length = max(1, target.length)
        if not self._store.path(slot).is_dir():
            client.download(
                target,
                self._store.archive_of(slot),
                lambda have: self._tell(Progress("downloading", DOWNLOADED * have // length)),
            )
            self._step("download: renamed")
            candidate = self._store.staged(candidate)
        else:
            # The slot of a model that ran before: an operator's roll-back needs no second download.
            candidate = self._store.unpacked(candidate)
        return self._from_archive(candidate)

    def _adopt(self, target: Target) -> Outcome:
        candidate = self._store.want(target)
        self._store.adopt(candidate)
        self._store.note(latest=target.release.version)
        return Outcome("adopted", f"{target.release.full_name} runs already")

    def _from_archive(self, candidate: Candidate) -> Outcome:
        """From a whole archive to the switch."""
        name = candidate.slot.name
        if candidate.stage == "staged":
            self._tell(Progress("unpacking", DOWNLOADED))
            try:
                candidate = self._store.unpacked(candidate)
            except ArchiveError as error:
                self._store.abandon(candidate, f"{name}: {error}", for_good=True)
                return Outcome("refused", f"{name}: {error}")
        if candidate.stage == "verified":
            self._tell(Progress("validating", 85))
            refused = self._gate(candidate)
            if refused is not None:
                return refused
            candidate = self._store.gated(candidate)
        self._tell(Progress("switching", 95))
        self._store.switch(candidate)
        return Outcome("switched", name)

    def _gate(self, candidate: Candidate) -> Outcome | None:
        """None where the model passes."""
        name = candidate.slot.name
        why = f"{name}: refused by the gate: this box went down {GATE_TRIES} times while it was tried"
        while candidate.gate_tries < GATE_TRIES:
            candidate = self._store.gate_begins(candidate)
            question = Ask(
                bundle=str(self._store.path(candidate.slot)), name=name, model_sha256=candidate.slot.model_sha256,
                reference=self._running[1], budget=self._budget,
            )  # fmt: skip
            answer = door.ask(question, Path(self._config.updates.validation_socket))
            self._step("gate: answered")
            if not answer.reached:
                self._store.gate_unseen(candidate)
                raise UpdateError(answer.died)
            if answer.verdict is not None and answer.verdict.ok:
                return None
            why = f"{name}: refused by the gate: {answer.verdict.why if answer.verdict else answer.died}"
            if answer.verdict is not None:
                break
        self._store.abandon(candidate, why, for_good=True)
        return Outcome("refused", why)


def _with(device: Device, **changes: Any) -> Device:
    import dataclasses

    return dataclasses.replace(device, **changes)


def device_of(config: Config) -> Device:
    """What decides which release this box takes. The tier is the family of the bundle that it was told to run."""
    family = Path(config.model.bundle).name.partition("-")[0]
    return Device(
        config.node.id, family, channel=config.updates.channel, pin=config.updates.pin, runtime=runtime()
    )


class Task(Struct, frozen=True):
    """What the link tells its child on standard input."""

    config: Config
    running: tuple[str, str] = ("", "")


def lines(data: Iterator[bytes]) -> Iterator[Line]:
    """What the child says; lines that make no sense are left out."""
    for line in data:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=Line)


def main() -> int:
    """The child. Its status is 0 whatever the outcome: that is in the last line."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)

    def say(line: Line) -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
            sys.stdout.buffer.flush()

    say(Agent(task.config, task.running, tell=say).run())
    return 0
