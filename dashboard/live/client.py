"""What every connection of the hub to a broker begins with, and why it fails, in words."""

from __future__ import annotations

import logging
import ssl
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.mqtt.address import BrokerAddress

CONNECT_TIMEOUT_S: Final = 5.0

log = logging.getLogger(__name__)


def make(address: BrokerAddress, client_id: str, protocol: MQTTProtocolVersion, **more: Any) -> mqtt.Client:
    """A client that does not reconnect by itself, with all that the address says. Raises `UserError`."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=protocol,
        reconnect_on_failure=False,
        **more,
    )
    if address.username:
        client.username_pw_set(address.username, address.password or None)
    context = address.tls_context()
    if context is not None:
        client.tls_set_context(context)
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.on_subscribe = said_of_subscriptions
    return client


def said_of_subscriptions(
    client: mqtt.Client, data: Any, mid: int, codes: list[ReasonCode], properties: Properties | None
) -> None:
    """Callback for the broker's answer to SUBSCRIBE: what it refuses is in the log."""
    refused = sum(code.is_failure for code in codes)
    if refused:
        log.warning(
            "the broker refuses %d of %d subscriptions: is our certificate, or our user, one that may read all rooms?",
            refused,
            len(codes),
        )


def why(error: Exception, address: BrokerAddress) -> str:
    """One line for what `connect` raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not accepted: {error.verify_message.rstrip('.').lower()}"
    if isinstance(error, ssl.SSLError):
        hint = "is this its TLS port?" if "VERSION" in str(error) or "RECORD" in str(error) else error.reason
        return f"TLS fails: {hint}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "no answer"
    return text[:1].lower() + text[1:]


def closed(address: BrokerAddress, welcomed: bool) -> str:
    """One line for a connection that has ended. With TLS 1.3 a refused certificate looks like this."""
    if welcomed or not address.tls:
        return "the broker closed the connection"
    if not address.cert_file:
        return "the broker closed the connection at once; does it want a certificate (--join)?"
    return "the broker closed the connection at once; has our certificate expired, or was it revoked?"
