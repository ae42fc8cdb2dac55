"""TLS for every connection to a broker: the context, and what a broker says to our certificate."""

from __future__ import annotations

import codecs
import socket
import ssl
from pathlib import Path
from typing import Final

from edge.config.trust import client_context
from edge.mqtt.address import BrokerAddress
from edge.mqtt.credentials import password
from edge.util.errors import UserError
from edge.util.text.text_file import read_text

CONNECT_TIMEOUT_S: Final = 10.0
HANDSHAKE_ANSWER_S: Final = 2.0
ACCEPT_S: Final = 0.5
"""How long a connection has to be kept by a broker that is there; one that is gone has it closed at once."""


def context(address: BrokerAddress) -> ssl.SSLContext | None:
    """Return a context with TLS 1.2 or later that checks the broker's name and certificate; None without TLS.

    Files are read anew for every connection, so that renewed certificates need no restart. Raises `UserError`.
    """
    if not address.tls:
        return None
    made = _with_ca(address) if address.ca_file else client_context()
    if address.cert_file:
        _add_certificate(made, address)
    made.check_hostname = address.check_name
    return made


def check(address: BrokerAddress) -> None:
    """Refuse files that can never work, before the first attempt. Raises `UserError`."""
    password(address)
    context(address)


def broker_waits(address: BrokerAddress) -> bool:
    """Do the TLS handshake alone: True where the broker then waits for us, False where it closes.

    With TLS 1.3 a broker refuses our certificate after the handshake. Raises `OSError` (of which an `ssl.SSLError`
    holds what the broker says), or `UserError` for a certificate of ours that cannot be used.
    """
    made = context(address)
    with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as plain:
        if made is None:
            return True
        with made.wrap_socket(plain, server_hostname=address.host) as channel:
            channel.settimeout(HANDSHAKE_ANSWER_S)
            try:
                channel.recv(1)
            except TimeoutError:
                return True
    return False


def accepts(address: BrokerAddress) -> bool:
    """Whether a broker accepts connections now, which takes half a second; nothing is sent, not even a handshake.

    What stands before a broker that is gone (a load balancer, Docker) accepts them, too, and closes them at once.
    """
    try:
        with socket.create_connection((address.host, address.port), HANDSHAKE_ANSWER_S) as plain:
            plain.settimeout(ACCEPT_S)
            try:
                return bool(plain.recv(1))
            except TimeoutError:
                return True
    except OSError:
        return False


def refusal(address: BrokerAddress) -> ssl.SSLError | None:
    """Ask what a broker that closed the connection says about our certificate; None when it says nothing.

    With TLS 1.3 it speaks after the handshake, and closes; what we have sent meanwhile makes the kernel throw its words
    away. So the handshake is done once more, and nothing is sent this time.
    """
    if address.tls:
        try:
            broker_waits(address)
        except ssl.SSLError as error:
            return error
        except (OSError, ValueError):
            pass
    return None


def _with_ca(address: BrokerAddress) -> ssl.SSLContext:
    path, setting = Path(address.ca_file), address.names.ca_file
    text = read_text(path, setting)
    try:
        # OpenSSL does not find the first certificate behind a byte order mark.
        marked = path.read_bytes().startswith(codecs.BOM_UTF8)
        return client_context(cafile=None if marked else str(path), cadata=text if marked else None)
    except (ssl.SSLError, ValueError):
        raise UserError(f"{path}: not a certificate in PEM form; see {setting}") from None


def _add_certificate(made: ssl.SSLContext, address: BrokerAddress) -> None:
    setting = address.names.certificate
    for file in (address.cert_file, address.key_file):
        if read_text(Path(file), setting) and Path(file).read_bytes().startswith(codecs.BOM_UTF8):
            raise UserError(f"{file}: begins with a byte order mark; save it as plain text, see {setting}")
    try:
        # Without the function OpenSSL would ask for the password of the key on a terminal.
        made.load_cert_chain(address.cert_file, address.key_file, password=lambda: b"")
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in str(error):
            raise UserError(
                f"{address.key_file}: not the key of {address.cert_file}; see {setting}"
            ) from None
        raise UserError(
            f"{address.cert_file}, {address.key_file}: not a certificate and a plain key in PEM form; see {setting}"
        ) from None
