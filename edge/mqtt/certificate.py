"""A device's own certificate: whose it is and when it expires."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.util.timestamps import rfc3339

WARN_DAYS: Final = 30


@dataclass(frozen=True)
class Certificate:
    """`name` is the common name of the subject; empty where it has none."""

    name: str
    expires: datetime


def read(path: str) -> Certificate | None:
    """Return the first certificate of a PEM file; None for no path, and for what cannot be read."""
    if not path:
        return None
    # Loaded only where there is a certificate: the library costs a link without one several megabytes.
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        found = x509.load_pem_x509_certificate(Path(path).read_bytes())
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return Certificate(str(names[0].value) if names else "", found.not_valid_after_utc)
    except (OSError, ValueError, OverflowError, x509.InvalidVersion):
        return None


def timestamp(certificate: Certificate) -> str:
    """Return its end in the form that messages use for times."""
    return rfc3339(certificate.expires)


def warning(path: str, now: float) -> str:
    """Return what to say of a certificate that expires within `WARN_DAYS`, or has expired; empty otherwise.

    `now`: seconds since 1970.
    """
    own = read(path)
    days = math.inf if own is None else (own.expires.timestamp() - now) / 86_400
    if own is None or days >= WARN_DAYS:
        return ""
    expires = "has expired" if days < 0 else f"expires in {int(days)} days"
    return f"this device's certificate ({path}) {expires}, on {own.expires:%Y-%m-%d}: `roomtone fleet renew {own.name}`"
