"""The open sockets of pages: they were let in once, and are closed when their session ends or its rights change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.auth.accounts import Accounts, Identity
from dashboard.auth.middleware import AuthMiddleware

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
MAX_OPEN: Final = 300
MAX_OPEN_PER_USER: Final = 60
"""Every open page costs a part of each second: one user's pages leave room for those of others."""
SESSION_ENDED: Final = 4401
"""Close code: log in again."""


class OpenSockets:
    """The open WebSockets, with the identity that each was opened by; used on the event loop only."""

    def __init__(self) -> None:
        self._open: dict[WebSocket, Identity] = {}

    def has_room(self, identity: Identity) -> bool:
        """Return whether one more page of a user may be open."""
        own = sum(one.name == identity.name for one in self._open.values())
        return own < MAX_OPEN_PER_USER and len(self._open) < MAX_OPEN

    @contextlib.contextmanager
    def registered(self, socket: WebSocket, identity: Identity) -> Iterator[None]:
        """Register a socket while the block of this context manager runs."""
        self._open[socket] = identity
        try:
            yield
        finally:
            del self._open[socket]

    async def close_ended(self, accounts: Accounts, middleware: AuthMiddleware) -> None:
        """Close the sockets whose session is over or has other rights now. Database errors close nothing."""
        identities = {identity for identity in self._open.values() if identity.session}
        try:
            ended = await asyncio.to_thread(_changed, accounts, identities)
        except SQLAlchemyError:
            return
        for identity in ended:
            # The middleware remembers sessions for a few seconds: it must not let this one in once more.
            middleware.forget_session(identity.session)
        for socket, identity in list(self._open.items()):
            if identity in ended:
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await socket.close(SESSION_ENDED)

    async def watch(self, accounts: Accounts, middleware: AuthMiddleware) -> NoReturn:
        """Check all open sockets every five seconds, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.close_ended(accounts, middleware)


def _changed(accounts: Accounts, identities: Iterable[Identity]) -> set[Identity]:
    return {identity for identity in identities if accounts.identify(identity.session) != identity}
