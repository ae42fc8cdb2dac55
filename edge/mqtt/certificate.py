"""Whose certificate is this, and until when? The three fields that we need of X.509 (RFC 5280, 4.1), read by hand: the
standard library has no public function for a certificate that is not a peer's, and a box needs no library for it.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge.util.timestamps import rfc3339

WARN_DAYS: Final = 30
_COMMON_NAME: Final = bytes.fromhex("550403")
_UTC_TIME, _VERSION = 0x17, 0xA0


@dataclass(frozen=True)
class Certificate:
    """`name` is the common name of the subject; empty where it has none."""

    name: str
    expires: datetime


def read(path: str) -> Certificate | None:
    """The first certificate in a PEM file; None for no path, and for what cannot be read."""
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
        begin = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        return _parse(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except (OSError, ValueError, IndexError, StopIteration, OverflowError):
        return None


def stamp(certificate: Certificate) -> str:
    """Its end as the contract writes times."""
    return rfc3339(certificate.expires)


def warning(path: str, now: float) -> str:
    """What to say of a certificate that ends within `WARN_DAYS`, or has ended; empty when all is well."""
    own = read(path)
    days = math.inf if own is None else (own.expires.timestamp() - now) / 86_400
    if own is None or days >= WARN_DAYS:
        return ""
    ends = "has ended" if days < 0 else f"ends in {int(days)} days"
    return f"this device's certificate ({path}) {ends}, on {own.expires:%Y-%m-%d}: `roomtone fleet renew {own.name}`"


def _parse(der: bytes) -> Certificate:
    (_, whole), *_ = _items(der)
    fields = list(_items(next(_items(whole))[1]))
    if fields[0][0] == _VERSION:
        del fields[0]
    _serial, _algorithm, _issuer, (_, validity), (_, subject), *_ = fields
    _begin, (kind, end) = _items(validity)
    return Certificate(_common_name(subject), _time(kind, end.decode("ascii")))


def _common_name(subject: bytes) -> str:
    for _, group in _items(subject):
        for _, pair in _items(group):
            (_, identifier), (_, value) = _items(pair)
            if identifier == _COMMON_NAME:
                return value.decode("utf-8")
    return ""


def _time(kind: int, text: str) -> datetime:
    """UTCTime has two digits for the year, 50 to 99 are of the last century (RFC 5280, 4.1.2.5.1)."""
    if kind == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (X.690, 8.1)."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + length]
        at += length
