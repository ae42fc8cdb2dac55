"""Users, their sessions and tokens, and the log of what they did: in the database that the recorder writes.

Of a session or token only its SHA-256 is kept: who reads the database, or a backup, cannot use it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Engine, delete, func, select

from dashboard.auth import passwords
from dashboard.db.tables import audit, sessions, users
from dashboard.live.rooms import clean
from dashboard.recorder.writer import insert
from edge.util.errors import UserError

Role = Literal["viewer", "operator"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator")
SESSION_MS: Final = 30 * 86_400_000
RENEW_MS: Final = 86_400_000
"""A session that is used lives on; it is written at most once a day for it."""
KEPT_MS: Final = 365 * 86_400_000
"""How long the log of commands goes back."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Identity:
    """Who asks."""

    name: str
    role: Role
    session: bytes = b""
    """Which session; empty where there is no login."""
    label: str = ""
    """Of a program's token."""

    def may(self, role: Role) -> bool:
        """Whether the rights of a role are among theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL: Final = Identity("local", "operator")
"""Whoever sits at this machine, where there is no login."""


class Accounts:
    """Safe to use from several threads. Errors of the database pass through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, name: str, role: Role, password: str) -> None:
        """A new user. Raises `UserError`."""
        if _NAME.fullmatch(name) is None:
            raise UserError(
                f"user {name[:64]!r}: a name has at most 64 letters, digits, `.`, `_` and `-`, and begins with one"
            )
        if said := passwords.complaint(password, name):
            raise UserError(said)
        row = {"name": name, "role": role, "password": passwords.hash_of(password), "created": now_ms()}
        with self._engine.begin() as connection:
            statement = insert(connection, users).values(row).on_conflict_do_nothing().returning(users.c.name)
            new = connection.execute(statement).scalar()
        if new is None:
            raise UserError(
                f"there is a user {name} already; `roomtone hub user passwd {name}` changes the password"
            )

    def first(self) -> tuple[str, str] | None:
        """Name and password of an operator, made because there is no user; None where there is one."""
        if self.all():
            return None
        password = passwords.make()
        try:
            self.add("operator", "operator", password)
        except UserError:
            return None  # Another dashboard on the same database was faster.
        return "operator", password

    def all(self) -> list[dict[str, Any]]:
        """All users: name, role, created, and how many sessions and tokens are open."""
        count = func.count(sessions.c.id).label("sessions")
        alive = (sessions.c.user == users.c.name) & (sessions.c.expires > now_ms())
        statement = (
            select(users.c.name, users.c.role, users.c.created, count)
            .outerjoin(sessions, alive)
            .group_by(users.c.name, users.c.role, users.c.created)
            .order_by(users.c.name)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def change(self, name: str, password: str | None = None, role: Role | None = None) -> None:
        """Another password or role; sessions end with it, tokens stay. Raises `UserError`."""
        values: dict[str, Any] = {}
        if password is not None:
            if said := passwords.complaint(password, name):
                raise UserError(said)
            values["password"] = passwords.hash_of(password)
        if role is not None:
            values["role"] = role
        with self._engine.begin() as connection:
            if connection.execute(users.update().where(users.c.name == name).values(**values)).rowcount != 1:
                raise UserError(f"there is no user {name[:64]}; `roomtone hub user list` shows all")
            connection.execute(delete(sessions).where(sessions.c.user == name, sessions.c.label == ""))

    def remove(self, name: str) -> None:
        """Ends an account with all its sessions and tokens. Raises `UserError`."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.user == name))
            if connection.execute(delete(users).where(users.c.name == name)).rowcount != 1:
                raise UserError(f"there is no user {name[:64]}; `roomtone hub user list` shows all")

    def verify(self, name: str, password: str) -> bool:
        """Whether that is the user's password; takes as long where there is no such user."""
        with self._engine.connect() as connection:
            kept = connection.execute(select(users.c.password).where(users.c.name == name)).scalar()
        return passwords.matches(kept, password)

    def open(self, name: str, label: str = "", lasts_ms: int = SESSION_MS) -> str:
        """A session (or, with a label, a token) of a user: the secret. Raises `UserError`."""
        secret = secrets.token_urlsafe(32)
        now = now_ms()
        row = {
            "id": digest(secret),
            "user": name,
            "label": clean(label)[:64],
            "created": now,
            "expires": now + lasts_ms,
        }
        with self._engine.begin() as connection:
            if connection.execute(select(users.c.name).where(users.c.name == name)).scalar() is None:
                raise UserError(f"there is no user {name[:64]}; `roomtone hub user list` shows all")
            connection.execute(delete(sessions).where(sessions.c.expires < now))
            connection.execute(sessions.insert(), [row])
        return secret

    def close(self, session: bytes) -> None:
        """Ends a session."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.id == session))

    def who(self, session: bytes) -> Identity | None:
        """Whose session it is, if it is one; it lives on for being used."""
        now = now_ms()
        statement = (
            select(users.c.name, users.c.role, sessions.c.expires, sessions.c.label)
            .join(users, users.c.name == sessions.c.user)
            .where(sessions.c.id == session, sessions.c.expires > now)
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        if not row.label and row.expires < now + SESSION_MS - RENEW_MS:
            with self._engine.begin() as connection:
                longer = sessions.update().where(sessions.c.id == session).values(expires=now + SESSION_MS)
                connection.execute(longer)
        return Identity(row.name, row.role, session, row.label)

    def note(self, who: str, address: str, action: str, target: str = "", result: str = "ok") -> None:
        """Writes down what was done; what is older than a year is forgotten."""
        now = now_ms()
        row = {
            "at": now,
            "who": clean(who)[:64],
            "address": address[:64],
            "action": action[:64],
            "target": clean(target)[:100],
            "result": clean(result)[:200],
        }
        with self._engine.begin() as connection:
            connection.execute(delete(audit).where(audit.c.at < now - KEPT_MS))
            connection.execute(audit.insert(), [row])

    def notes(self, before_ms: int, limit: int) -> list[dict[str, Any]]:
        """What was done, the newest first."""
        statement = (
            select(audit)
            .where(audit.c.at < before_ms)
            .order_by(audit.c.at.desc(), audit.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]


def digest(secret: str) -> bytes:
    """What is kept of a session's secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return round(time.time() * 1000)
