"""One's own account, and the log of commands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from dashboard.api.common import Parts, ask, end_of_time, moment, need, note
from dashboard.auth import passwords
from dashboard.auth.limits import LOGIN, group
from dashboard.auth.middleware import address_of, identity_of
from edge.util.errors import UserError


class Me(BaseModel):
    """Who asks."""

    name: str
    role: str
    login: bool = Field(description="false: there is no login, everybody at this machine is `local`")


class NewPassword(BaseModel):
    """A change of one's own password."""

    old: str = Field(max_length=passwords.LONGEST)
    new: str = Field(max_length=passwords.LONGEST)


class Note(BaseModel):
    """Something that was done."""

    at: int = Field(description="milliseconds since 1970")
    who: str
    address: str
    action: str
    target: str
    result: str


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api", tags=["account"])

    @routes.get("/me")
    async def me(request: Request) -> Me:
        """Who asks, and with which rights."""
        identity = identity_of(request)
        return Me(name=identity.name, role=identity.role, login=bool(identity.session))

    @routes.post("/password", status_code=204)
    async def password(request: Request, change: NewPassword) -> None:
        """Another password. All sessions of the account end with it."""
        identity = identity_of(request)
        accounts = need(parts.accounts)
        if not identity.session or identity.label:
            raise HTTPException(403, "only whoever logged in with a password can change it")
        if not parts.limiter.allows(LOGIN, "login", group(address_of(request))):
            raise HTTPException(429, "too many attempts; wait a minute")
        if not await ask(accounts.verify, identity.name, change.old):
            await note(parts, request, "password", identity.name, "refused")
            raise HTTPException(403, "the old password is wrong")
        try:
            await ask(accounts.change, identity.name, change.new)
        except UserError as error:
            raise HTTPException(422, str(error)) from None
        await note(parts, request, "password", identity.name, "ok")

    @routes.get("/audit")
    async def audit(
        before: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[Note]:
        """What was done, the newest first; for operators."""
        rows = await ask(need(parts.accounts).notes, moment(before, end_of_time()), limit)
        return [Note(**row) for row in rows]

    return routes
