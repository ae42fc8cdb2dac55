"""The link's part in model updates, with the real handler of the update service in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.settings import Config
from edge.protocol import ModelInfo, ModelStatus, PredictionCountsReport, ReloadModel
from edge.releases.manager import ReleaseManager
from edge.releases.store.model_store import Store
from edge.releases.update_service import service
from edge.releases.update_service.client import UpdateClient
from edge.releases.update_service.messages import Outcome, Progress, Request
from tests.support.site.releases import bring, model_of, target

MIXED = (10, 4, 2, 2, 1, 1, 0)


class Service(UpdateClient):
    """Handles every request in this process, without socket or child."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.requests: list[Request] = []
        self.reachable = True

    async def send(
        self, request: Request, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> Outcome:
        self.requests.append(request)
        await asyncio.sleep(0)
        if not self.reachable:
            return Outcome("failed", "the update service cannot be reached")
        return service.handle(request, self._config, on_progress)


class House:
    """A manager with its ear and its broker."""

    def __init__(self, config: Config) -> None:
        self.store = Store(Path(config.updates.dir))
        self.service = Service(config)
        self.commands: list[object] = []
        self.published: list[ModelStatus] = []
        self.manager = ReleaseManager(
            config, self._send, self.published.append, asyncio.get_running_loop(), self.service
        )

    def _send(self, command: object) -> bool:
        self.commands.append(command)
        return True

    def runs(self, model: str, sha256: str) -> None:
        self.manager.on_ear_info(ModelInfo(
            model=model, model_sha256=sha256, feature_spec_sha256="0" * 64, runtime="litert", vad="silero",
            ear_version="0.1.0", config_sha256="0" * 64,
        ))  # fmt: skip

    def counts(self, sha256: str, labels: tuple[int, ...]) -> None:
        self.manager.on_counts(PredictionCountsReport(
            model_sha256=sha256, utterances=sum(labels), uncertain=0, labels=labels, p50_ms=40.0
        ))  # fmt: skip

    async def ticks(self, count: int = 5) -> None:
        for _ in range(count):
            self.manager.tick()
            for _ in range(5):
                await asyncio.sleep(0)


@pytest.fixture
def config(folder: Path) -> Config:
    return load(None, {
        "updates.dir": str(folder / "models"), "updates.probation_minutes": 0.0, "updates.probation_utterances": 10,
        "runtime.socket": str(folder / "ear.sock"), "updates.service_socket": str(folder / "none.sock"),
    })  # fmt: skip


def on_probation(house: House) -> str:
    """A release was installed, and the ear runs it; its sha256."""
    now = house.store.switch(bring(house.store, target(1)))
    assert now.current is not None
    house.manager.start()
    house.runs("base-1.0.1", now.current.model_sha256)
    return now.current.model_sha256


def test_a_model_that_passes_is_confirmed_and_the_ear_adapts_again(config: Config) -> None:
    async def run() -> None:
        house = House(config)
        sha256 = on_probation(house)
        await house.ticks()
        assert house.published[-1].state == "probation"
        house.counts(sha256, MIXED)
        await house.ticks()
        assert (house.store.state.probation, model_of(house.store)) == (None, "1.0.1")
        assert house.commands == [ReloadModel()]
        assert (house.published[-1].state, house.published[-1].release) == ("idle", 1)

    asyncio.run(run())


def test_a_model_that_fails_is_rolled_back_and_refused(config: Config) -> None:
    async def run() -> None:
        house = House(config)
        sha256 = on_probation(house)
        house.counts(sha256, (0, 0, 0, 40, 0, 0, 0))
        await house.ticks()
        assert model_of(house.store) == "factory"
        assert sha256 in house.store.state.refused_hashes
        assert house.commands == [ReloadModel()]
        assert house.published[-1].refused == 1

    asyncio.run(run())


def test_a_command_is_answered_when_the_model_was_rolled_back_and_not_before(config: Config) -> None:
    async def run() -> None:
        house = House(config)
        on_probation(house)
        answers: list[str] = []
        house.manager.roll_back("rolled back by a command", answers.append)
        house.manager.roll_back("and once more", answers.append)
        assert answers == []
        await house.ticks()
        assert (answers[0], model_of(house.store)) == ("", "factory")
        assert "nothing to go back from" in answers[1]

    asyncio.run(run())


def test_an_update_service_that_is_away_is_said_and_asked_again_later(config: Config) -> None:
    async def run() -> None:
        house = House(config)
        sha256 = on_probation(house)
        house.service.reachable = False
        answers: list[str] = []
        house.manager.roll_back("rolled back by a command", answers.append)
        await house.ticks()
        assert answers == ["the update service cannot be reached"]
        assert model_of(house.store) == "1.0.1"
        house.counts(sha256, MIXED)
        before = len(house.service.requests)
        await house.ticks(20)
        assert len(house.service.requests) == before, "not every second"

    asyncio.run(run())


def test_the_progress_of_a_probation_outlives_the_link(config: Config) -> None:
    async def run() -> None:
        house = House(config)
        on_probation(house)
        house.manager.on_ear_disconnected()
        await house.manager.close()
        probation = house.store.state.probation
        assert probation is not None
        assert probation.crashes == 1

    asyncio.run(run())
