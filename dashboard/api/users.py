"""Users and roles, for operators."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field

from dashboard.api.common import Services, confirm_password, record_action, require, run_query
from dashboard.auth import passwords
from dashboard.auth.accounts import UserRole
from dashboard.auth.middleware import identity_of
from edge.util.errors import UserError
from edge.util.text.patterns import pattern

USER_NAME: Final = pattern(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, the first a letter or digit",
).pattern
UserName = Annotated[str, Path(pattern=USER_NAME)]
Own = Annotated[str, Field(max_length=passwords.MAX_LENGTH, description="the operator's own password")]


class User(BaseModel):
    """A user of this hub."""

    name: str
    role: UserRole
    created: int = Field(description="milliseconds since 1970")
    sessions: int = Field(description="open sessions")
    tokens: int = Field(description="API tokens that have not expired")


class NewUser(BaseModel):
    """A user to be created."""

    name: str = Field(max_length=64)
    role: UserRole = "viewer"
    password: Own = ""


class Change(BaseModel):
    """What an operator changes of another user; what is left out stays."""

    role: UserRole | None = None
    new_password: bool = Field(default=False, description="make a new password; the user's sessions end")
    password: Own = ""


class Confirmation(BaseModel):
    """The operator's own password, for what cannot be undone."""

    password: Own = ""


class Created(BaseModel):
    """A user, and the password if one was made: it is shown only here."""

    name: str
    password: str | None


def router(services: Services) -> APIRouter:
    """Return the routes by which operators manage users. No one changes the own role or removes the own account."""
    routes = APIRouter(prefix="/api/users", tags=["account"])
    _add_read_route(routes, services)
    _add_create_route(routes, services)
    _add_change_routes(routes, services)
    return routes


def _add_read_route(routes: APIRouter, services: Services) -> None:
    @routes.get("")
    async def users() -> list[User]:
        """Return all users; for operators."""
        return [User(**row) for row in await run_query(require(services.accounts).list_users)]


def _add_create_route(routes: APIRouter, services: Services) -> None:
    @routes.post("", status_code=201)
    async def create(request: Request, new: NewUser) -> Created:
        """Create a user with a generated password, which is returned once; for operators."""
        _require_person(request)
        target = f"{new.name} {new.role}"
        await confirm_password(services, request, new.password, "user add", target)
        generated = passwords.generate()
        try:
            await run_query(require(services.accounts).add, new.name, new.role, generated)
        except UserError as error:
            raise HTTPException(422, str(error)) from None
        await record_action(services, request, "user add", target, "ok")
        return Created(name=new.name, password=generated)


def _add_change_routes(routes: APIRouter, services: Services) -> None:
    @routes.patch("/{name}")
    async def change(request: Request, name: UserName, wanted: Change) -> Created:
        """Change the role of another user, or make a new password; the user's sessions end. For operators."""
        _require_other(request, name)
        action = "user passwd" if wanted.new_password else "user role"
        target = f"{name} {wanted.role or ''}".strip()
        await confirm_password(services, request, wanted.password, action, target)
        generated = passwords.generate() if wanted.new_password else None
        update = partial(require(services.accounts).update, end_tokens=wanted.new_password)
        if generated is not None or wanted.role is not None:
            await _run(update, name, generated, wanted.role)
        await record_action(services, request, action, target, "ok")
        return Created(name=name, password=generated)

    @routes.delete("/{name}", status_code=204)
    async def remove(request: Request, name: UserName, confirmation: Confirmation) -> None:
        """Delete another user with all sessions and tokens; for operators."""
        _require_other(request, name)
        await confirm_password(services, request, confirmation.password, "user remove", name)
        await _run(require(services.accounts).remove, name)
        await record_action(services, request, "user remove", name, "ok")


async def _run(action: Callable[..., None], *arguments: object) -> None:
    """Change a user. Raises `HTTPException` 404 for one that does not exist."""
    try:
        await run_query(action, *arguments)
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def _require_person(request: Request) -> None:
    """Raise `HTTPException` 403 for a program with an API token, and where there are no accounts."""
    identity = identity_of(request)
    if not identity.session or identity.label:
        raise HTTPException(403, "only a user who logged in with a password can do this")


def _require_other(request: Request, name: str) -> None:
    """Raise `HTTPException` 409 for the own account: so that one operator is always left."""
    _require_person(request)
    if identity_of(request).name == name:
        raise HTTPException(409, "this is your own account: another operator can change it")
