"""What the broker says to our certificate, before anything of MQTT."""

from __future__ import annotations

import socket
from typing import Final

from edge.config.settings import Config
from edge.mqtt import reason_codes
from edge.mqtt.credentials import tls_context

CONNECT_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 2.0


def waits_for_us(config: Config) -> bool:
    """TLS alone, and then silence: True where the broker waits for our word, False where it has closed.

    With TLS 1.3 it speaks about our certificate after the handshake, and closes. Raises `OSError` (of which an
    `ssl.SSLError` holds what it has said), or `ValueError` for a certificate of ours that cannot be used.
    """
    address = (config.mqtt.host, reason_codes.port(config))
    with (
        socket.create_connection(address, CONNECT_TIMEOUT_S) as plain,
        tls_context(config.mqtt).wrap_socket(plain, server_hostname=config.mqtt.host) as channel,
    ):
        channel.settimeout(PATIENCE_S)
        try:
            channel.recv(1)
        except TimeoutError:
            return True
    return False
