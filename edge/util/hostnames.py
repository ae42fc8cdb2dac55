"""Host names and addresses as people write them, checked and in the form that sockets and TLS take."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
LONGEST: Final = 253


def normalized(text: str) -> str:
    """Return an IP address without brackets, or a host name in ASCII (IDNA for `müller.example`).

    Raises `ValueError` that says what to write instead.
    """
    address = text.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        pass
    else:
        return address
    if "://" in text:
        raise ValueError("is an URL: write the host name alone")
    name, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and ":" not in name:
        raise ValueError(f"holds a port: write {name!r} and give the port {port} apart")
    if not text:
        raise ValueError("is empty: write a host name or an address")
    try:
        ascii_name = text.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if len(ascii_name) > LONGEST or not _NAME.fullmatch(ascii_name):
        raise ValueError("is not a host name or an address: write `broker.example`, `192.0.2.1` or `::1`")
    return ascii_name
