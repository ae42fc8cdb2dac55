"""Users, their sessions and their API tokens, stored in the recorder's database.

Only the SHA-256 of a session or token is stored: a reader of the database or of a backup cannot use it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Engine, case, delete, func, select

from dashboard.auth import passwords
from dashboard.db.clock import guarded_ms
from dashboard.db.statements import insert
from dashboard.db.tables import push_subscriptions, sessions, users
from dashboard.values import now_ms, printable
from edge.util.errors import UserError

UserRole = Literal["viewer", "operator"]
Role = Literal["guest", UserRole]
ROLES: Final[tuple[Role, ...]] = ("guest", "viewer", "operator")
"""Each has the rights of those before it. A guest has no account (`dashboard.auth.guests`)."""
SESSION_MS: Final = 30 * 86_400_000
MAX_SESSION_MS: Final = 90 * 86_400_000
"""A session ends this long after the login, even if it is in use."""
RENEW_MS: Final = 86_400_000
"""A session in use is extended, which is written at most once a day."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Identity:
    """The user of a request."""

    name: str
    role: Role
    session: bytes = b""
    """SHA-256 of the session or token; empty without a login."""
    label: str = ""
    """Label of the API token; empty for a browser session."""

    def has_role(self, role: Role) -> bool:
        """Return whether the user has the rights of a role."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class OpenSession:
    """A session or API token that has not expired. Times are milliseconds since 1970."""

    id: bytes
    """SHA-256 of its secret."""
    label: str
    """Empty for a session."""
    agent: str
    """What the browser said of itself at the login."""
    created: int
    expires: int


LOCAL: Final = Identity("local", "operator")
"""The user of this machine, where no login is required."""


class Accounts:
    """The users in the database, with their passwords, sessions and API tokens.

    Thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.version = 0
        """Rises when a session ends or a user's rights change here: what was remembered before is out of date."""

    def add(self, name: str, role: UserRole, password: str) -> None:
        """Create a user. Raises `UserError`."""
        if _NAME.fullmatch(name) is None:
            raise UserError(
                f"user {name[:64]!r}: a name has at most 64 letters, digits, `.`, `_` and `-`, "
                "and begins with a letter or digit"
            )
        if problem := passwords.problem_with(password, name):
            raise UserError(problem)
        row = {
            "name": name,
            "role": role,
            "password": passwords.hash_password(password),
            "created": now_ms(),
        }
        with self._engine.begin() as connection:
            statement = insert(connection, users).values(row).on_conflict_do_nothing().returning(users.c.name)
            created = connection.execute(statement).scalar()
        if created is None:
            raise UserError(
                f"a user of this name exists already: `roomtone hub user passwd {name}` changes the password"
            )

    def create_first_operator(self) -> tuple[str, str] | None:
        """Create the user `operator` if there is no user; return name and password, else None."""
        if self.list_users():
            return None
        password = passwords.generate()
        try:
            self.add("operator", "operator", password)
        except UserError:
            return None  # Another dashboard on the same database was faster.
        return "operator", password

    def list_users(self) -> list[dict[str, Any]]:
        """Return all users: name, role, created, and the numbers of open sessions and of API tokens."""
        counts = (
            func.count(case((sessions.c.label == "", 1))).label("sessions"),
            func.count(case((sessions.c.label != "", 1))).label("tokens"),
        )
        open_sessions = (sessions.c.user == users.c.name) & (sessions.c.expires > guarded_ms(self._engine))
        statement = (
            select(users.c.name, users.c.role, users.c.created, *counts)
            .outerjoin(sessions, open_sessions)
            .group_by(users.c.name, users.c.role, users.c.created)
            .order_by(users.c.name)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def update(
        self,
        name: str,
        password: str | None = None,
        role: UserRole | None = None,
        *,
        end_tokens: bool = False,
    ) -> None:
        """Change the password or the role. The user's sessions end; API tokens only with `end_tokens`.

        Raises `UserError`.
        """
        values: dict[str, Any] = {}
        if password is not None:
            if problem := passwords.problem_with(password, name):
                raise UserError(problem)
            values["password"] = passwords.hash_password(password)
        if role is not None:
            values["role"] = role
        with self._engine.begin() as connection:
            if connection.execute(users.update().where(users.c.name == name).values(**values)).rowcount != 1:
                raise _unknown_user(name)
            ended = sessions.c.user == name
            if not end_tokens:
                ended &= sessions.c.label == ""
            connection.execute(delete(sessions).where(ended))
        self.version += 1

    def remove(self, name: str) -> None:
        """Delete a user with all sessions and tokens. Raises `UserError`."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.user == name))
            connection.execute(delete(push_subscriptions).where(push_subscriptions.c.user == name))
            if connection.execute(delete(users).where(users.c.name == name)).rowcount != 1:
                raise _unknown_user(name)
        self.version += 1

    def verify(self, name: str, password: str) -> bool:
        """Return whether that is the user's password; takes as long if there is no such user."""
        with self._engine.connect() as connection:
            stored = connection.execute(select(users.c.password).where(users.c.name == name)).scalar()
        return passwords.verify_password(stored, password)

    def create_session(
        self, name: str, label: str = "", lifetime_ms: int = SESSION_MS, agent: str = ""
    ) -> str:
        """Create a session or, with a label, an API token; return its secret. Raises `UserError`.

        `agent` is what the browser says of itself, by which a user tells the own sessions apart.
        """
        secret = secrets.token_urlsafe(32)
        now = guarded_ms(self._engine)
        row = {
            "id": digest(secret),
            "user": name,
            "label": printable(label)[:64],
            "agent": printable(agent)[:200],
            "created": now,
            "expires": now + lifetime_ms,
        }
        with self._engine.begin() as connection:
            if connection.execute(select(users.c.name).where(users.c.name == name)).scalar() is None:
                raise _unknown_user(name)
            connection.execute(delete(sessions).where(sessions.c.expires < now))
            connection.execute(sessions.insert(), [row])
        return secret

    def end_session(self, session: bytes) -> None:
        """Delete a session or API token, given by the hash of its secret."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.id == session))
        self.version += 1

    def list_sessions(self, name: str) -> list[OpenSession]:
        """Return the open sessions and API tokens of a user, newest first."""
        columns = (
            sessions.c.id,
            sessions.c.label,
            sessions.c.agent,
            sessions.c.created,
            sessions.c.expires,
        )
        statement = (
            select(*columns)
            .where(sessions.c.user == name, sessions.c.expires > guarded_ms(self._engine))
            .order_by(sessions.c.created.desc())
        )
        with self._engine.connect() as connection:
            return [OpenSession(*row) for row in connection.execute(statement)]

    def identify(self, session: bytes) -> Identity | None:
        """Return the user of a session or token that has not expired; a session is extended by being used."""
        now = guarded_ms(self._engine)
        statement = (
            select(users.c.name, users.c.role, sessions.c.created, sessions.c.expires, sessions.c.label)
            .join(users, users.c.name == sessions.c.user)
            .where(sessions.c.id == session, sessions.c.expires > now)
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        expires = min(now + SESSION_MS, row.created + MAX_SESSION_MS)
        if not row.label and row.expires < expires - RENEW_MS:
            with self._engine.begin() as connection:
                extend = sessions.update().where(sessions.c.id == session).values(expires=expires)
                connection.execute(extend)
        return Identity(row.name, row.role, session, row.label)


def digest(secret: str) -> bytes:
    """Return the SHA-256 of a secret, which is stored in its place."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _unknown_user(name: str) -> UserError:
    return UserError(f"there is no user {name[:64]}; `roomtone hub user list` shows all")
