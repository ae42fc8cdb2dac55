"""The password, read anew for every connection, so that a new one needs no restart."""

from __future__ import annotations

from pathlib import Path

from edge.mqtt.address import BrokerAddress
from edge.util.text.text_file import first_line


def password(address: BrokerAddress) -> str | None:
    """Return the password of an address; None without one. Raises `UserError` for a file that cannot be used."""
    if address.password_file:
        return first_line(Path(address.password_file), address.names.password_file)
    return address.password or None
