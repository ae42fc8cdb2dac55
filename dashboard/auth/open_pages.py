"""Ends open pages whose session has ended: their sockets were let in once and would live as long as the browser."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from nicegui import Client, core
from sqlalchemy.exc import SQLAlchemyError

from dashboard.auth.accounts import Accounts, Identity
from dashboard.auth.middleware import IDENTITY, Gate

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0


async def watch(accounts: Accounts, gate: Gate) -> NoReturn:
    """Looks again and again, until it is cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        pages = [
            (client, identity) for client in list(Client.instances.values()) if (identity := _of(client))
        ]
        try:
            ended = await asyncio.to_thread(_changed, accounts, {identity for _, identity in pages})
        except SQLAlchemyError:
            continue  # Nobody is thrown out because the database is away.
        for identity in ended:
            # Else it might let the page in once more, and then refuse its socket.
            gate.forget(identity.session)
        over = [client for client, identity in pages if identity in ended]
        for client in over:
            client.run_javascript("location.reload()")
        if over:
            await asyncio.sleep(1.0)
        for client in over:
            # Whoever does not go by themselves: a new socket has to pass the gate.
            for sid, _ in _sockets(client):
                await core.sio.disconnect(sid)


def _sockets(client: Client) -> list[tuple[str, str]]:
    server: Any = core.sio
    return list(server.manager.get_participants("/", client.id))


def _of(client: Client) -> Identity | None:
    try:
        identity: Identity | None = client.request.scope.get(IDENTITY)
    except RuntimeError:
        return None  # One of NiceGUI's own, that nobody asked for.
    return identity if identity is not None and identity.session else None


def _changed(accounts: Accounts, identities: Iterable[Identity]) -> set[Identity]:
    """Those whose session is over, or who have other rights now."""
    return {identity for identity in identities if accounts.who(identity.session) != identity}
