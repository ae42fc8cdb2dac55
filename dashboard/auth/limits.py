"""How often somebody may do something: moving windows of the library `limits`, in memory."""

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
PAGE: Final = parse("120 per minute")
"""A page costs memory until its browser has gone."""


class Limiter:
    """Counts; lives on the event loop."""

    def __init__(self) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def allows(self, limit: RateLimitItem, *who: str) -> bool:
        """Counts one more, if it is allowed."""
        return self._windows.hit(limit, *who)


def group(address: str) -> str:
    """An address, or of IPv6 the network of one customer (/64): nobody gets more by changing the rest of it."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    return str(ip)
