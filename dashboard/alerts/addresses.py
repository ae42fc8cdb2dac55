"""Where the hub may send notifications: to public addresses, and to those that the configuration allows.

Without this, a rule could make the hub send requests to other services in its own network (server-side request
forgery). A name is resolved once, all its addresses are checked, and the request goes to the address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
NAT64: Final = IPv6Network("64:ff9b::/96")
TRANSLATED: Final = (IPv6Network("64:ff9b:1::/48"), IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""IPv6 addresses that a gateway turns into IPv4 addresses of anywhere, private ones too."""


class RefusedAddressError(Exception):
    """An address that the hub does not send to; the message says why."""


class PrivateAddressError(RefusedAddressError):
    """An address in a network that is not allowed."""

    def __init__(self, named: str, address: Address) -> None:
        super().__init__(f"{named} is not a public address; allow it with --notify {address}")
        self.address = address


@dataclass(frozen=True)
class AllowedAddresses:
    """`networks` are allowed besides public addresses."""

    networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Return whether the hub may send to an address."""
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is not None:
                address = address.ipv4_mapped
            elif address in NAT64:
                address = IPv4Address(int(address) & 0xFFFFFFFF)
        if any(address.version == network.version and address in network for network in self.networks):
            return True
        translated = any(address in network for network in TRANSLATED if address.version == network.version)
        return address.is_global and not address.is_multicast and not translated

    async def resolve(self, host: str, port: int) -> str:
        """Return an address of a host that the hub may send to.

        Raises `PrivateAddressError` if any address of the host is not allowed, `RefusedAddressError` if it has none.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RefusedAddressError(f"{host} has no address: {error}") from None
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        for address in addresses:
            if not self.allows(address):
                named = str(address) if host.strip("[]") == str(address) else f"{host} ({address})"
                raise PrivateAddressError(named, address)
        if not addresses:
            raise RefusedAddressError(f"{host} has no address")
        return str(addresses[0])
