"""Which certificates are believed: one rule for broker, hub and updates, the same on every Python (decision 21)."""

from __future__ import annotations

import ssl


def client_context(cafile: str | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """Return a context that checks the server's name and certificate, for TLS 1.2 or later.

    `cafile` or `cadata` (PEM): the authority; without them those of the system. Raises `OSError`, `ssl.SSLError`.
    """
    made = ssl.create_default_context(cafile=cafile, cadata=cadata)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 is the first to set both. Strict refuses an authority that was made as mosquitto-tls(7) says, which
    # has no keyUsage; a partial chain lets a broker's own certificate be named as its authority.
    made.verify_flags = (made.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return made
