"""Guests: a link that works once gives the page *Try it*, and nothing else, to a person without an account.

Links and guests are kept in memory only: a restart of the dashboard ends them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from dashboard.auth.accounts import Identity, digest

LIFETIME_S: Final = 600.0
"""How long a link can be used, and then how long its guest may stay."""
MAX_LINKS: Final = 20
"""Links that are open at a time; one more replaces the oldest."""
SAFE_PATHS: Final = ("/try", "/api/hub", "/api/me")
"""What a guest may read, beside the files of the front end."""
WRITE_PATHS: Final = ("/api/try", "/logout")


class GuestLinks:
    """One-time links, and the guests who have used one. Used on the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._links: dict[bytes, float] = {}
        self._guests: dict[bytes, float] = {}

    def create(self) -> str:
        """Return the secret of a new link."""
        self._forget_expired()
        while len(self._links) >= MAX_LINKS:
            del self._links[next(iter(self._links))]
        secret = secrets.token_urlsafe(24)
        self._links[digest(secret)] = self._clock() + LIFETIME_S
        return secret

    def is_open(self, secret: str) -> bool:
        """Return whether a link can still be used; asking does not use it."""
        self._forget_expired()
        return digest(secret) in self._links

    def redeem(self, secret: str) -> str | None:
        """Use a link up: return the secret of the guest's session, or None for a link that is used, old or wrong."""
        self._forget_expired()
        if self._links.pop(digest(secret), None) is None:
            return None
        session = secrets.token_urlsafe(32)
        self._guests[digest(session)] = self._clock() + LIFETIME_S
        return session

    def identify(self, session: bytes) -> Identity | None:
        """Return the guest of a session (SHA-256 of its secret) that has not ended."""
        self._forget_expired()
        return Identity("guest", "guest", session) if session in self._guests else None

    def end(self, session: bytes) -> None:
        """End a guest's session."""
        self._guests.pop(session, None)

    def _forget_expired(self) -> None:
        now = self._clock()
        for kept in (self._links, self._guests):
            for key in [key for key, end in kept.items() if end <= now]:
                del kept[key]


def may_request(method: str, path: str) -> bool:
    """Return whether a guest may send a request."""
    if method in ("GET", "HEAD"):
        return path in SAFE_PATHS
    return method == "POST" and path in WRITE_PATHS
