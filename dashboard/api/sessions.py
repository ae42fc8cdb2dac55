"""The user's own sessions and API tokens."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field

from dashboard.api.common import Services, confirm_password, record_action, require, run_query
from dashboard.auth import passwords
from dashboard.auth.accounts import OpenSession
from dashboard.auth.middleware import identity_of
from edge.util.text.patterns import pattern

DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 3650
ID_DIGITS: Final = 16
"""Hexadecimal digits of the hash of a session that name it in the API."""
SESSION_ID: Final = pattern(r"^[0-9a-f]{16}$", "16 hexadecimal digits, 0-9 and a-f").pattern
SessionId = Annotated[str, Path(pattern=SESSION_ID, description="As `/api/sessions` says it")]


class SessionOut(BaseModel):
    """An open session of a browser, or an API token."""

    id: str
    label: str = Field(description="what an API token is for; empty for a browser")
    agent: str = Field(description="what the browser said of itself at the login")
    created: int = Field(description="milliseconds since 1970")
    expires: int = Field(description="milliseconds since 1970; a session in use is extended")
    current: bool = Field(description="the session of this request")


class NewToken(BaseModel):
    """An API token to be created."""

    label: str = Field(min_length=1, max_length=64, description="what it is for")
    days: int = Field(default=365, ge=1, le=MAX_DAYS, description="days until it expires")
    password: str = Field(default="", max_length=passwords.MAX_LENGTH, description="the own password")


class Token(BaseModel):
    """The secret of a new API token: it is shown only here."""

    token: str


def router(services: Services) -> APIRouter:
    """Return the routes about where a user is logged in."""
    routes = APIRouter(prefix="/api", tags=["account"])

    @routes.get("/sessions")
    async def sessions(request: Request) -> list[SessionOut]:
        """Return the own sessions and API tokens, newest first."""
        identity = identity_of(request)
        if not identity.session:
            return []
        found = await run_query(require(services.accounts).list_sessions, identity.name)
        return [_session(one, identity.session) for one in found]

    @routes.delete("/sessions/{session}", status_code=204)
    async def end(request: Request, session: SessionId) -> None:
        """End one of the own sessions, or an API token; pages that it has open are closed within seconds."""
        identity = identity_of(request)
        accounts = require(services.accounts)
        found = [
            one
            for one in await run_query(accounts.list_sessions, identity.name)
            if one.id.hex().startswith(session)
        ]
        if not found:
            raise HTTPException(404, "there is no such session")
        await run_query(accounts.end_session, found[0].id)
        await record_action(services, request, "session end", found[0].label or session, "ok")

    @routes.post("/tokens", status_code=201)
    async def token(request: Request, new: NewToken) -> Token:
        """Create an API token with the rights of the user; it is returned once."""
        identity = identity_of(request)
        if not identity.session or identity.label:
            raise HTTPException(403, "only a user who logged in with a password can create a token")
        await confirm_password(services, request, new.password, "user token", new.label)
        accounts = require(services.accounts)
        secret = await run_query(accounts.create_session, identity.name, new.label, new.days * DAY_MS)
        await record_action(services, request, "user token", new.label, "ok")
        return Token(token=secret)

    return routes


def _session(one: OpenSession, current: bytes) -> SessionOut:
    return SessionOut(
        id=one.id.hex()[:ID_DIGITS],
        label=one.label,
        agent=one.agent,
        created=one.created,
        expires=one.expires,
        current=one.id == current,
    )
