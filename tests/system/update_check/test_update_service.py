"""The update service: what the link may ask for, and that nothing but what was validated runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from edge.config import model_folders
from edge.config.load import load
from edge.config.settings import Config
from edge.ear.model_selection import ModelSelector
from edge.inference import bundle as bundles
from edge.releases.store.model_store import Store, StoreError
from edge.releases.store.state import ReferenceCounts, manifest_sha256
from edge.releases.update_service import service
from edge.releases.update_service.client import UpdateClient
from edge.releases.update_service.messages import (
    Confirm,
    Outcome,
    Progress,
    Request,
    RollBack,
    SaveProbation,
    SetReference,
)
from tests.support.site.releases import bring, model_of, target

NOW = 1_800_000_000.0


@pytest.fixture
def config(folder: Path) -> Config:
    return load(None, {
        "updates.dir": str(folder / "models"), "updates.service_socket": str(folder / "update.sock"),
        "runtime.socket": str(folder / "ear.sock"), "runtime.state_dir": str(folder / "state"),
    })  # fmt: skip


@pytest.fixture
def store(config: Config) -> Store:
    """On probation since `NOW`."""
    made = Store(Path(config.updates.dir), clock=lambda: NOW)
    made.switch(bring(made, target(1)))
    return made


def test_the_link_may_roll_back_and_save_the_probation(config: Config, store: Store) -> None:
    counts = ReferenceCounts(utterances=30, uncertain=3, labels=(30, 0, 0, 0, 0, 0, 0), p50_ms=40.0)
    assert service.handle(SetReference(counts), config).result == "done"
    assert service.handle(SaveProbation(12.0, 2), config).result == "done"
    probation = store.state.probation
    assert probation is not None
    assert (probation.reference, probation.spent_s, probation.crashes) == (counts, 12.0, 2)
    assert service.handle(RollBack("collapsed"), config).result == "done"
    assert (model_of(store), store.state.error) == ("factory", "collapsed")
    assert service.handle(RollBack("again"), config).result == "failed"


@pytest.mark.parametrize(("minutes", "result"), [(9.9, "failed"), (10.0, "done")])
def test_a_probation_is_not_ended_early_whatever_the_link_says(
    config, store, minutes: float, result: str
) -> None:
    done = service.handle(Confirm(), config, clock=lambda: NOW + 60 * minutes)
    assert (done.result, store.state.probation is None) == (result, result == "done")


@pytest.mark.parametrize(
    "line",
    [b'{"t":"switch"}', b'{"t":"install","path":"/tmp/x"}', b'{"t":"roll_back"}', b"[]", b"",
     b'{"t":"save_probation","spent_s":-1,"crashes":0}', b'{"t":"check","url":"https://elsewhere"}'],
)  # fmt: skip
def test_there_is_no_request_that_names_a_model_a_path_or_an_address(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(line, type=Request)


def test_a_verdict_about_another_bundle_validates_nothing(config: Config) -> None:
    store = Store(Path(config.updates.dir))
    candidate = store.select(target(1))
    store.archive_of(candidate.slot).write_bytes(archive_of_release("1.0.1"))
    candidate = store.unpack(store.mark_downloaded(candidate))
    for digest in (None, "0" * 64):
        with pytest.raises(StoreError, match="another bundle"):
            store.mark_validated(candidate, digest)
        with pytest.raises(StoreError, match="only a validated model"):
            store.switch(store.state.candidate)
    candidate = store.mark_validated(candidate, manifest_sha256(store.path(candidate.slot)))
    assert store.switch(candidate).current == candidate.slot


def archive_of_release(version: str) -> bytes:
    from tests.support.site.releases import archive

    return archive(version)


def test_the_ear_runs_nothing_but_the_bundle_that_was_validated(box, site, make) -> None:
    """Network and hashes of the files are as they were, but the manifest has another threshold."""
    site.publish(make())
    assert box.check().result == "switched"
    slot = box.store.state.current
    ear = ModelSelector(box.config)
    assert ear.selected().slot == slot
    path = box.store.path(slot) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"abstain_below": 0.99}))
    assert bundles.load(path.parent).sha256 == slot.model_sha256, "the bundle is whole in itself"
    assert ear.selected().slot is None


def test_a_bundle_that_lies_beside_the_slots_is_not_found(box, make, monkeypatch) -> None:
    """A full bundle in the folder of the store is no release, and no family leads to it."""
    monkeypatch.delenv("ROOMTONE_MODELS", raising=False)
    assert Path("/var/lib/roomtone/models") not in model_folders.places()


def test_the_service_sees_the_credentials_of_the_link_in_its_own_folder(monkeypatch) -> None:
    theirs = "/run/credentials/roomtone-link.service"
    config = load(None, {
        "updates.url": "https://hub.local/updates", "updates.root_file": f"{theirs}/site_models-root.json",
        "mqtt.ca_file": f"{theirs}/site_ca.crt", "mqtt.tls": True,
    })  # fmt: skip
    assert service.own_credentials(config) == config
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/roomtone-update@1.service")
    updates = service.own_credentials(config).updates
    assert updates.root_file == "/run/credentials/roomtone-update@1.service/site_models-root.json"
    assert updates.ca_file == "/run/credentials/roomtone-update@1.service/site_ca.crt"


def _ask(config: Config, request: Request, answer: bytes) -> tuple[Outcome, list[Progress], bytes]:
    """Send a request to a service at the socket that gives these lines."""

    async def run() -> tuple[Outcome, list[Progress], bytes]:
        received: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.append(await reader.readline())
            writer.write(answer)
            writer.close()

        steps: list[Progress] = []
        async with await asyncio.start_unix_server(serve, config.updates.service_socket):
            outcome = await UpdateClient(config).send(request, steps.append)
        return outcome, steps, received[0]

    return asyncio.run(run())


def test_the_link_sends_a_request_and_no_configuration_to_the_service(config: Config) -> None:
    lines = b"".join(
        msgspec.json.encode(one) + b"\n"
        for one in (Progress("downloading", 40), Outcome("switched", "base-1.1.0"))
    )
    outcome, steps, received = _ask(config, RollBack("collapsed"), b"nonsense\n" + lines)
    assert (outcome, steps) == (Outcome("switched", "base-1.1.0"), [Progress("downloading", 40)])
    assert msgspec.json.decode(received, type=Request) == RollBack("collapsed")


@pytest.mark.parametrize("answer", [b"", b"x" * 200_000, b'{"t":"progress","stage":"idle","percent":1}\n'])
def test_a_service_that_ends_without_an_outcome_is_a_failure(config: Config, answer: bytes) -> None:
    assert _ask(config, Confirm(), answer)[0].result == "failed"
