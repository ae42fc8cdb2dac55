"""Rate limits of requests: moving windows of the library `limits`, in memory."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

LOGIN: Final = parse("10 per minute")
LOGIN_NAME: Final = parse("30 per hour")
TRY: Final = parse("20 per minute")
READ: Final = parse("600 per minute")
WRITE: Final = parse("60 per minute")
EXPORT: Final = parse("10 per minute")
SOCKET: Final = parse("60 per minute")
SOCKET_MESSAGES: Final = parse("600 per minute")
PAGE: Final = parse("120 per minute")
"""A page occupies memory until its browser disconnects."""


class RequestLimiter:
    """Counts requests by key against rate limits. Not thread-safe: used on the event loop."""

    def __init__(self) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def allows(self, limit: RateLimitItem, *key: str) -> bool:
        """Return whether one more request is within the limit, and count it if so."""
        return self._windows.hit(limit, *key)


def client_network(address: str) -> str:
    """Return the address that limits are counted by: an IPv4 address, or the /64 network of an IPv6 address.

    A customer is usually given a whole /64: other addresses in it must not get a limit of their own.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    return str(ip)
