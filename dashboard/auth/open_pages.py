"""Closes open pages whose session has ended: their sockets were authenticated once and would stay open for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from nicegui import Client, core
from sqlalchemy.exc import SQLAlchemyError

from dashboard.auth.accounts import Accounts, Identity
from dashboard.auth.middleware import IDENTITY, AuthMiddleware

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0


async def close_ended_sessions(accounts: Accounts, middleware: AuthMiddleware) -> NoReturn:
    """Check the sessions of all open pages every 5 s, until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL_S)
        pages = [
            (client, identity)
            for client in list(Client.instances.values())
            if (identity := _identity(client)) is not None
        ]
        try:
            ended = await asyncio.to_thread(_changed, accounts, {identity for _, identity in pages})
        except SQLAlchemyError:
            continue  # A database that does not answer ends no session.
        for identity in ended:
            # Otherwise the cached session would let the page in once more, and then refuse its socket.
            middleware.forget_session(identity.session)
        closing = [client for client, identity in pages if identity in ended]
        for client in closing:
            client.run_javascript("location.reload()")
        if closing:
            await asyncio.sleep(1.0)
        for client in closing:
            # For a browser that did not reload: a new socket has to pass the middleware.
            for sid, _ in _sockets(client):
                await core.sio.disconnect(sid)


def _sockets(client: Client) -> list[tuple[str, str]]:
    server: Any = core.sio
    return list(server.manager.get_participants("/", client.id))


def _identity(client: Client) -> Identity | None:
    try:
        identity: Identity | None = client.request.scope.get(IDENTITY)
    except RuntimeError:
        return None  # A client of NiceGUI itself, without a request.
    return identity if identity is not None and identity.session else None


def _changed(accounts: Accounts, identities: Iterable[Identity]) -> set[Identity]:
    """Return those whose session has ended or whose role has changed."""
    return {identity for identity in identities if accounts.identify(identity.session) != identity}
