"""The repository over HTTP: public files, and an upload for the publisher, who authenticates with a token.

    GET  /updates/metadata/NAME  /updates/targets/NAME        PUT  /updates/api/root  /updates/api/targets
    PUT  /updates/api/files/NAME                              POST /updates/api/refresh     GET /updates/api/status

Uploads are accepted for their signatures alone; the token protects the disk from being filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse

from edge.releases.metadata import MAX_ARCHIVE_BYTES
from edge.util.errors import UserError, reason
from provisioning.publish.hub_repository import MAX_METADATA, METADATA_NAME, HubRepository, RefusedError

log = logging.getLogger(__name__)

PREFIX: Final = "/updates"
REFRESH_S: Final = 1800.0


def install(application: FastAPI, repository: HubRepository) -> None:
    """Add the routes of the model repository: downloads for devices, uploads for the workstation."""

    @application.get(f"{PREFIX}/metadata/{{name}}")
    async def metadata(name: str) -> FileResponse:
        path = repository.metadata / name
        if not METADATA_NAME.match(name) or not path.is_file():
            raise HTTPException(404)
        # A timestamp that a proxy keeps would look like a freeze.
        return FileResponse(path, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @application.get(f"{PREFIX}/targets/{{name}}")
    async def target(name: str) -> FileResponse:
        try:
            path = repository.target_path(name)
        except RefusedError:
            raise HTTPException(404) from None
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type="application/x-tar")

    _install_upload(application, repository)


def _install_upload(application: FastAPI, repository: HubRepository) -> None:
    def operator(request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not repository.is_operator(token.strip()):
            raise HTTPException(401, "not the token of `roomtone fleet`", {"WWW-Authenticate": "Bearer"})

    async def accept(action: Any, *given: Any) -> Any:
        try:
            return await asyncio.to_thread(action, *given)
        except UserError as error:
            raise HTTPException(409, str(error)) from None
        except OSError as error:
            raise HTTPException(507, f"the hub's disk: {reason(error)}") from None

    @application.put(f"{PREFIX}/api/root")
    async def root(request: Request) -> dict[str, int]:
        operator(request)
        return {"version": await accept(repository.accept_root, await _body(request))}

    @application.put(f"{PREFIX}/api/targets")
    async def targets(request: Request) -> dict[str, int]:
        operator(request)
        return {"version": await accept(repository.accept_targets, await _body(request))}

    @application.put(f"{PREFIX}/api/files/{{name}}")
    async def file(request: Request, name: str) -> dict[str, bool]:
        operator(request)
        path: Path = await accept(repository.target_path, name)
        if path.is_file():
            return {"new": False}
        handle, beside = tempfile.mkstemp(dir=repository.targets_folder, prefix=".upload-")
        try:
            with os.fdopen(handle, "wb") as out:
                size = 0
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MAX_ARCHIVE_BYTES:
                        raise HTTPException(413, f"more than {MAX_ARCHIVE_BYTES >> 20} MiB")
                    out.write(chunk)
            await accept(repository.accept_target, name, Path(beside))
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(beside).unlink()
        return {"new": True}

    @application.post(f"{PREFIX}/api/refresh")
    async def refresh(request: Request) -> dict[str, int]:
        operator(request)
        return {"timestamp_version": await accept(repository.refresh, True)}

    @application.get(f"{PREFIX}/api/status")
    async def status(request: Request) -> dict[str, Any]:
        operator(request)
        found: dict[str, Any] = await accept(repository.status)
        return found


async def _body(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_METADATA:
            raise HTTPException(413, "too much metadata")
    return data


@contextlib.asynccontextmanager
async def refreshing(repository: HubRepository) -> AsyncIterator[None]:
    """Renew snapshot and timestamp while the hub runs, so that they do not expire while the workstation is off."""

    async def keep() -> None:
        while True:
            try:
                if repository.has_keys():
                    await asyncio.to_thread(repository.refresh)
            except (UserError, OSError, ValueError) as error:
                log.error("the models' timestamp cannot be renewed: %s", error)
            await asyncio.sleep(REFRESH_S)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
