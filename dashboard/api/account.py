"""The user's own account, and the audit log."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from dashboard.api.common import (
    Services,
    confirm_password,
    far_future,
    parse_time,
    record_action,
    require,
    run_query,
)
from dashboard.auth import passwords
from dashboard.auth.accounts import Identity
from dashboard.auth.middleware import identity_of
from edge.util.errors import UserError
from edge.util.version import VERSION


class Me(BaseModel):
    """The user of the request."""

    name: str
    role: str
    login: bool = Field(description="false: no login is required, the user of this machine is `local`")


class HubInfo(Me):
    """The user, and what this hub offers."""

    broker: str = Field(description="address of the broker")
    base_topic: str
    recorded: bool = Field(description="whether there is a database with the past")
    try_it: bool = Field(description="whether recordings can be classified here")
    guest_links: bool = Field(description="whether guests can be invited to *Try it*")
    version: str
    enrol: str = Field(
        description="command that enrols a device at the hub, without its name; empty: there is none"
    )
    device_broker: str = Field(description="URL by which devices reach the broker; empty: they do not")
    phones: bool = Field(description="whether a phone has to install a certificate first (`/phone`)")


class NewPassword(BaseModel):
    """A change of the user's own password."""

    old: str = Field(max_length=passwords.MAX_LENGTH)
    new: str = Field(max_length=passwords.MAX_LENGTH)
    end_tokens: bool = Field(default=False, description="also end the user's API tokens")


class AuditEntry(BaseModel):
    """An entry of the audit log."""

    at: int = Field(description="milliseconds since 1970")
    who: str
    address: str
    action: str
    target: str
    result: str


def hub_info(services: Services, identity: Identity) -> HubInfo:
    """Return a user and what the hub offers; a guest sees nothing of the site."""
    broker = services.feed.broker
    is_guest = identity.role == "guest"
    return HubInfo(
        name=identity.name,
        role=identity.role,
        login=bool(identity.session),
        broker="" if is_guest else str(broker.address),
        base_topic="" if is_guest else broker.base_topic,
        recorded=services.history is not None,
        try_it=services.try_it,
        guest_links=services.guests is not None,
        version=VERSION,
        enrol="" if is_guest else services.enrol,
        device_broker="" if is_guest else services.device_broker,
        phones=services.phones,
    )


def router(services: Services) -> APIRouter:
    """Return the routes about the signed-in user: name and role, password, sessions, audit log."""
    routes = APIRouter(prefix="/api", tags=["account"])

    @routes.get("/me")
    async def me(request: Request) -> Me:
        """Return the user of the request and the role."""
        identity = identity_of(request)
        return Me(name=identity.name, role=identity.role, login=bool(identity.session))

    @routes.get("/hub")
    async def hub(request: Request) -> HubInfo:
        """Return the user and what this hub offers; the pages have it in them from the beginning."""
        return hub_info(services, identity_of(request))

    @routes.post("/password", status_code=204)
    async def password(request: Request, change: NewPassword) -> None:
        """Change the own password. All sessions of the user end, API tokens if `end_tokens` is set."""
        identity = identity_of(request)
        accounts = require(services.accounts)
        if not identity.session or identity.label:
            raise HTTPException(403, "only a user who logged in with a password can change it")
        await confirm_password(services, request, change.old, "password", identity.name)
        try:
            await run_query(partial(accounts.update, end_tokens=change.end_tokens), identity.name, change.new)
        except UserError as error:
            raise HTTPException(422, str(error)) from None
        await record_action(services, request, "password", identity.name, "ok")

    @routes.get("/audit")
    async def audit(
        before: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[AuditEntry]:
        """Return the audit log, newest first; for operators."""
        rows = await run_query(require(services.audit).entries, parse_time(before, far_future()), limit)
        return [AuditEntry(**row) for row in rows]

    return routes
