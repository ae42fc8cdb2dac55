"""What the ear's log says of its connection to the link: each change once, and a warning when it lasts."""

from __future__ import annotations

import logging
from typing import Final

from edge.protocol import RESTART_GRACE_S

log = logging.getLogger(__name__)

REFUSED: Final = "it closes the connection at once: is another ear connected?"


class LinkLog:
    """`path`: of the socket at which the link is expected."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last = ""
        self._missing_since: float | None = None
        self._warned = False

    def on_connected(self, *, answered: bool) -> None:
        """Log that there is a connection; after a refusal only once the link has `answered` on it."""
        if answered or REFUSED not in self._last:
            self._missing_since, self._warned = None, False
            self._log_change(f"[link_connected] connected to the link at {self._path}")

    def on_missing(self, why: str, now: float) -> None:
        """Log that an attempt has failed or a connection has ended; `now`: monotonic, in seconds."""
        if self._missing_since is None:
            self._missing_since = now
        code = "link_closes" if why == REFUSED else "link_missing"
        self._log_change(f"[{code}] no link at {self._path} ({why}); keeping utterances, trying again")
        missing_s = now - self._missing_since
        if missing_s >= RESTART_GRACE_S and not self._warned:
            self._warned = True
            log.warning("[link_missing] no link at %s for %.0f s (%s)", self._path, missing_s, why)

    def _log_change(self, text: str) -> None:
        if text != self._last:
            self._last = text
            log.info("%s", text)
