"""Uploads of releases are limited while they are read, whatever their headers say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="fastapi is installed with roomtone[dashboard]")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from dashboard.releases import api
from edge.util.errors import UserError
from provisioning.publish.hub_repository import MAX_METADATA, HubRepository

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "token.sha256").write_text(hashlib.sha256(b"secret").hexdigest())
    application = FastAPI()
    api.install(application, HubRepository(tmp_path))
    return TestClient(application)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent"):
        HubRepository(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def chunks(size: int) -> Iterator[bytes]:
    """A body without `Content-Length`."""
    for _ in range(size // 1000):
        yield bytes(1000)


@pytest.mark.parametrize("what", ["root", "targets"])
def test_metadata_that_is_too_large_is_refused(client: TestClient, what: str) -> None:
    answer = client.put(f"/updates/api/{what}", content=chunks(2 * MAX_METADATA), headers=TOKEN)
    assert answer.status_code == 413


def test_a_release_that_is_too_large_is_refused_and_nothing_is_left(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_ARCHIVE_BYTES", 100_000)
    name = f"{'0' * 64}.base-1.0.0.1.tar"
    answer = client.put(f"/updates/api/files/{name}", content=chunks(200_000), headers=TOKEN)
    assert answer.status_code == 413
    assert list((tmp_path / "targets").iterdir()) == []
