"""A device of a site, without its processes: what it does about releases, step by step."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.settings import Config
from edge.inference import bundle as bundles
from edge.releases.repository.download import HttpsFetcher
from edge.releases.store.model_store import Store
from edge.releases.update_service.check import Outcome, UpdateCheck
from edge.releases.validation.messages import Budget
from tests.support.site.publishing import Server, Site


class UpdatingDevice:
    """A device that checks for releases: its store, its configuration, and the model that it was shipped with."""

    def __init__(
        self, folder: Path, site: Site, server: Server, factory: Path, node: str = "kitchen"
    ) -> None:
        self.folder = folder
        self.factory = factory
        self.config: Config = load(None, {
            "node.id": node, "model.bundle": str(factory), "updates.url": server.url,
            "updates.root_file": str(site.root), "updates.ca_file": str(server.cert),
            "updates.dir": str(folder), "updates.validation_socket": str(folder / "no.sock"),
        })  # fmt: skip

    def running(self) -> tuple[str, str]:
        slot = self.store.state.current
        path = self.factory if slot is None else self.store.path(slot)
        return hashlib.sha256((path / "model.tflite").read_bytes()).hexdigest(), str(path)

    @property
    def store(self) -> Store:
        return Store(self.folder)

    def check(self, timeout_s: float = 30.0, **more: object) -> Outcome:
        fetcher = more.pop("fetcher", None) or HttpsFetcher(
            self.config.updates.ca_file,
            more.get("step", lambda _: None),
            timeout_s=timeout_s,
            read_timeout_s=2.0,
            min_bytes_per_s=1 << 20,
        )
        options = {"synced": lambda: True, "budget": Budget(runs=5), "fetcher": fetcher} | more
        return UpdateCheck(self.config, self.running(), **options).run()

    def model(self) -> str:
        """What an ear would run, after checking it as the ear does."""
        return bundles.load(Path(self.running()[1])).full_name


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, as these tests synchronise often."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)
