"""One check for updates, from the timestamp to the switch; part of the update service.

Killed at any point, the next check resumes it. The probation afterwards is watched by the link (`manager.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from tuf.api.exceptions import DownloadError

from edge.config.settings import Config
from edge.protocol.bundle_name import family_of
from edge.releases.archive import ArchiveError
from edge.releases.metadata import (
    Choice,
    Device,
    Target,
    choose,
    runtime,
)
from edge.releases.repository.download import HttpsFetcher
from edge.releases.repository.tuf_client import Client, UpdateError
from edge.releases.store.model_store import VALIDATION_ATTEMPTS, Store
from edge.releases.store.state import Candidate, State, folder_of
from edge.releases.update_service.messages import Outcome, Progress
from edge.releases.validation import client as validation
from edge.releases.validation.messages import Budget, ValidationRequest, Verdict
from edge.util import system_clock
from edge.util.atomic_file import Step, no_step
from edge.util.errors import UserError

DOWNLOAD_PERCENT: Final = 80
"""Share of the download in the progress of an update."""


OnProgress = Callable[[Progress], None]


class UpdateCheck:
    """One check for updates.

    Args:
        config: the device's configuration.
        running: sha256 and path of the model that runs now; default: as the store says.
        on_progress: is called with each step.

    The other parameters replace parts of the system in tests.
    """

    def __init__(
        self,
        config: Config,
        running: tuple[str, str] | None = None,
        *,
        on_progress: OnProgress = lambda _: None,
        step: Step = no_step,
        fetcher: Any = None,
        synced: Callable[[], bool] = system_clock.synced,
        budget: Budget | None = None,
        device: Device | None = None,
    ) -> None:
        self._config = config
        self._on_progress = on_progress
        self._fetcher = fetcher
        self._step = step
        self._synced = synced
        self._budget = budget or Budget()
        self._device = device
        self._store = Store(folder_of(config), step)
        self._running = running or running_model(config, self._store)
        self._timestamp_version = 0

    def run(self) -> Outcome:
        """Run the check. Never raises `UserError`."""
        try:
            return msgspec.structs.replace(self._run(), timestamp_version=self._timestamp_version)
        except (UserError, DownloadError) as error:
            with contextlib.suppress(UserError):
                self._store.record_check(error=str(error))
            return Outcome("failed", str(error), error.code if isinstance(error, UpdateError) else "")

    def _run(self) -> Outcome:
        now = self._store.recover()
        if now.probation is not None:
            return Outcome(
                "nothing", "a model is on probation; no other one is installed until that has ended"
            )
        candidate = now.candidate
        if candidate is not None and candidate.stage != "selected":
            # It was verified when it was downloaded.
            return self._from_archive(candidate)
        client, choice = self._select(now)
        if choice.target is None:
            if candidate is not None:
                self._store.abandon(candidate, choice.why_not, for_good=False)
            latest = choice.newest.release.version if choice.newest is not None else ""
            self._store.record_check(latest=latest, error=choice.why_not or client.skipped)
            return Outcome("refused" if choice.why_not else "nothing", choice.why_not or choice.elsewhere)
        return self._install(client, choice.target, now)

    def _select(self, now: State) -> tuple[Client, Choice]:
        updates = self._config.updates
        if updates.clock == "checked" and not self._synced():
            raise UpdateError(
                "the clock is not synchronised, so expiry dates cannot be checked; the check runs when it is "
                '(`updates.clock = "trusted"` where the host of a container keeps it)',
                "clock",
            )
        self._on_progress(Progress("checking", 0))
        fetcher = self._fetcher or HttpsFetcher(updates.ca_file or self._config.mqtt.ca_file, self._step)
        client = Client(updates.url, Path(updates.root_file), self._store.tuf, fetcher)
        targets = client.refresh()
        self._timestamp_version = client.timestamp_version()
        self._step("metadata: verified")
        device = self._device or device_of(self._config)
        device = dataclasses.replace(device, floor=now.floor, refused=now.refused_hashes)
        return client, choose(targets, device)

    def _install(self, client: Client, target: Target, now: State) -> Outcome:
        if target.release.model_sha256 == self._running[0]:
            return self._adopt(target)
        candidate = self._store.select(target)
        self._store.record_check(latest=target.release.version)
        slot = candidate.slot
        length = max(1, target.length)
        if not self._store.path(slot).is_dir():
            client.download(
                target,
                self._store.archive_of(slot),
                lambda received: self._on_progress(
                    Progress("downloading", DOWNLOAD_PERCENT * received // length)
                ),
            )
            self._step("download: renamed")
            candidate = self._store.mark_downloaded(candidate)
        else:
            # The slot of a model that ran before: a withdrawal needs no second download.
            candidate = self._store.unpack(candidate)
        return self._from_archive(candidate)

    def _adopt(self, target: Target) -> Outcome:
        candidate = self._store.select(target)
        self._store.adopt(candidate)
        self._store.record_check(latest=target.release.version)
        return Outcome("adopted", f"{target.release.full_name} runs already")

    def _from_archive(self, candidate: Candidate) -> Outcome:
        """Unpack, validate and switch."""
        name = candidate.slot.name
        if candidate.stage == "downloaded":
            self._on_progress(Progress("unpacking", DOWNLOAD_PERCENT))
            try:
                candidate = self._store.unpack(candidate)
            except ArchiveError as error:
                self._store.abandon(candidate, f"{name}: {error}", for_good=True)
                return Outcome("refused", f"{name}: {error}")
        if candidate.stage == "unpacked":
            self._on_progress(Progress("validating", 85))
            verdict = self._validate(candidate)
            if isinstance(verdict, Outcome):
                return verdict
            candidate = self._store.mark_validated(candidate, verdict.manifest_sha256)
        self._on_progress(Progress("switching", 95))
        self._store.switch(candidate)
        return Outcome("switched", name)

    def _validate(self, candidate: Candidate) -> Verdict | Outcome:
        """The verdict where the model passes, else the outcome of the check."""
        name = candidate.slot.name
        why = f"{name}: refused by validation: the device went down {VALIDATION_ATTEMPTS} times during it"
        while candidate.validation_attempts < VALIDATION_ATTEMPTS:
            candidate = self._store.validation_started(candidate)
            request = ValidationRequest(
                bundle=str(self._store.path(candidate.slot)), name=name, model_sha256=candidate.slot.model_sha256,
                reference=self._running[1], budget=self._budget,
            )  # fmt: skip
            result = validation.validate(request, Path(self._config.updates.validation_socket))
            self._step("validation: done")
            if not result.reached:
                self._store.validation_not_reached(candidate)
                raise UpdateError(result.failure, "validation-unavailable")
            if result.verdict is not None and result.verdict.ok:
                return result.verdict
            why = f"{name}: refused by validation: {result.verdict.reason if result.verdict else result.failure}"
            if result.verdict is not None:
                break
        self._store.abandon(candidate, why, for_good=True)
        return Outcome("refused", why)


def device_of(config: Config) -> Device:
    """Describe this device for the selection. Its family is that of the configured bundle."""
    family = family_of(config.model.bundle)
    return Device(
        config.node.id, family, channel=config.updates.channel, pin=config.updates.pin, runtime=runtime()
    )


def running_model(config: Config, store: Store) -> tuple[str, str]:
    """Return sha256 and path of the model that the ear should run: the store's current one, else the configured bundle.

    Both are empty where neither is installed.
    """
    current = store.state.current
    if current is not None:
        return current.model_sha256, str(store.path(current))
    from edge.inference import bundle

    try:
        folder = bundle.find(config.model.bundle)
        with (folder / bundle.MODEL).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), str(folder)
    except (UserError, OSError):
        return "", ""
