"""Why there is no connection, in one line, with the remedy.

Codes of MQTT are those of version 5 (OASIS standard, 2.4 and 3.2.2.2); paho maps the few of MQTT 3.1.1 onto them.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from edge.mqtt import certificate
from edge.mqtt.address import BrokerAddress
from edge.util.errors import UserError

NO_MATCHING_SUBSCRIBERS: Final = 0x10
FAILURE: Final = 0x80
"""Codes from here on say that something was not done."""
UNSUPPORTED_PROTOCOL: Final = 0x84
PACKET_TOO_LARGE: Final = 0x95
RETAIN_NOT_SUPPORTED: Final = 0x9A
QOS_NOT_SUPPORTED: Final = 0x9B
SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Final = 0x9E


@dataclass(frozen=True)
class Reason:
    """Why a connection or message failed: `code` is one word for programs, `text` one line for people."""

    code: str
    text: str


@dataclass(frozen=True)
class Identity:
    """Broker address and client of a connection, which explanations name."""

    address: BrokerAddress
    client_id: str

    @property
    def user(self) -> str:
        """Words for an explanation: `user 'NAME'`, or the client id where there is no user name."""
        if self.address.username:
            return f"user {self.address.username!r}"
        return f"client {self.client_id!r} (no user name)"


def of_exception(error: BaseException, who: Identity) -> Reason:
    """Explain what connecting raised, or what the TLS layer said."""
    address = who.address
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error, address)
    if isinstance(error, ssl.SSLError):
        return of_tls_text(str(error), who)
    number = getattr(error, "errno", None)
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return Reason(
            "unreachable", f"{address.place} cannot be reached from here: check cable, Wi-Fi and address"
        )
    names = address.names
    known: tuple[tuple[type[BaseException], str, str], ...] = (
        (UserError, "bad_files", str(error)),
        (
            socket.gaierror,
            "unknown_host",
            f"the name {address.host!r} is unknown: {_unknown_name(address)}",
        ),
        (
            ConnectionRefusedError,
            "connection_refused",
            f"nothing listens on {address.place}: start the broker, or correct {names.host} and {names.port}",
        ),
        (
            TimeoutError,
            "timeout",
            f"{address.place} does not answer: is it switched on, and does a firewall let port {address.port} in?",
        ),
        (
            ConnectionError,
            "connection_reset",
            f"{address.place} ends the connection at once: {_tls_mismatch(address)}",
        ),
    )
    for kind, code, text in known:
        if isinstance(error, kind):
            return Reason(code, text)
    return Reason(f"error_{number or type(error).__name__}", f"{address.place}: {error}")


def of_tls_text(text: str, who: Identity) -> Reason:
    """Explain an OpenSSL error: what the broker thinks of our certificate comes as a TLS alert."""
    address = who.address
    own = address.names.certificate
    not_tls = f"does not speak TLS on this port: {_tls_mismatch(address)}"
    known = (
        ("WRONG_VERSION_NUMBER", "tls_not_spoken", not_tls),
        ("RECORD_LAYER_FAILURE", "tls_not_spoken", not_tls),
        ("CERTIFICATE_REQUIRED", "certificate_required", f"requires a client certificate: set {own}"),
        ("HANDSHAKE_FAILURE", "tls_handshake", f"refuses the handshake: it may want a certificate ({own})"),
        ("CERTIFICATE_EXPIRED", "certificate_expired", "says that our certificate has expired: renew it"),
        ("CERTIFICATE_REVOKED", "certificate_revoked", "says that our certificate is revoked: enrol again"),
        (
            "UNKNOWN_CA",
            "certificate_unknown_ca",
            "does not know the authority that signed our certificate: enrol with the broker's own CA",
        ),
        ("BAD_CERTIFICATE", "certificate_refused", "refuses our certificate: enrol again"),
        ("KEY_VALUES_MISMATCH", "bad_files", f"cannot be tried: key and certificate do not match ({own})"),
    )
    for sign, code, meaning in known:
        if sign in text.upper().replace(" ", "_"):
            return Reason(code, f"{address.place} {meaning}")
    return Reason("tls_failed", f"{address.place}: TLS fails ({text})")


def of_code(code: int, name: str, who: Identity, topic: str = "") -> Reason:
    """Explain a reason code of CONNACK, DISCONNECT, PUBACK or SUBACK; `topic`: what was published or subscribed."""
    slug, meaning = _meanings(who).get(code, (f"mqtt_{code:#04x}", f"answers {name or hex(code)}"))
    about = f" (topic {topic})" if topic else ""
    return Reason(slug, f"{who.address.place} {meaning}{about}")


def _meanings(who: Identity) -> dict[int, tuple[str, str]]:
    names = who.address.names
    return {
        0x80: ("unspecified_error", "refuses without giving a reason: its own log may have one"),
        0x81: ("malformed_packet", "does not understand what we send"),
        0x82: ("protocol_error", "calls this a protocol error"),
        0x83: ("implementation_error", "does not accept this, although it is valid: its own log may say why"),
        UNSUPPORTED_PROTOCOL: (
            "unsupported_protocol",
            f"does not speak this version of MQTT: correct {names.version}",
        ),
        0x85: ("client_id_refused", f"refuses the client id {who.client_id!r}: {names.client_id}"),
        0x86: ("bad_user_or_password", f"refuses {who.user}: check {names.user}"),
        0x87: (
            "not_authorized",
            f"does not allow this: {_not_authorized(who)}; check the broker's users and access list",
        ),
        0x88: ("server_unavailable", "is not available now"),
        0x89: ("server_busy", "is too busy now"),
        0x8A: ("banned", f"has banned {who.user}: ask the broker's administrator"),
        0x8B: ("server_shutting_down", "shuts down"),
        0x8C: ("bad_authentication_method", "wants another method of authentication"),
        0x8D: ("keepalive_timeout", "received nothing from us for too long"),
        0x8E: (
            "client_id_conflict",
            f"closed this connection because another client uses the id {who.client_id!r}: {names.client_id}",
        ),
        0x8F: ("topic_filter_invalid", "does not accept this topic filter"),
        0x90: ("topic_name_invalid", "does not accept this topic"),
        0x93: ("receive_maximum_exceeded", "got more messages than it can take at once"),
        PACKET_TOO_LARGE: (
            "packet_too_large",
            "finds a message too large: raise its limit to at least 16 KiB",
        ),
        0x96: ("message_rate_too_high", "gets too many messages from us"),
        0x97: ("quota_exceeded", "has no quota left for us"),
        0x98: ("administrative_action", "had this connection closed by its administrator"),
        0x99: ("payload_format_invalid", "does not accept the form of a message"),
        RETAIN_NOT_SUPPORTED: ("retain_not_supported", "does not store messages: turn on retained messages"),
        QOS_NOT_SUPPORTED: ("qos_not_supported", "does not support this quality of service: allow QoS 1"),
        0x9C: ("use_another_server", f"asks us to use another server: correct {names.host}"),
        0x9D: ("server_moved", f"has moved to another server: correct {names.host}"),
        SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: (
            "shared_subscriptions_not_supported",
            "has no shared subscriptions: each recorder takes all events",
        ),
        0x9F: ("connection_rate_exceeded", "gets too many connections"),
        0xA1: ("subscription_ids_not_supported", "has no subscription identifiers"),
        0xA2: (
            "wildcards_not_supported",
            "has no wildcard subscriptions: allow `+` in topic filters, or use another broker",
        ),
    }


def closed(who: Identity) -> Reason:
    """Return the reason for a connection that the broker has closed without giving one."""
    return Reason("connection_closed", f"{who.address.place} has closed the connection")


def client_id_conflict(who: Identity) -> Reason:
    """Return the reason for a connection that is closed again and again soon after CONNACK.

    MQTT 3.1.1 does not say that another client has taken the id over.
    """
    return Reason(
        "client_id_conflict",
        f"{who.address.place} closes every connection soon: it is restarted often, or another client uses the id "
        f"{who.client_id!r}; then {who.address.names.client_id}",
    )


def too_large(who: Identity, size: int) -> Reason:
    """Return the reason for a connection that is closed on a message, again and again, because of its size."""
    return Reason(
        "packet_too_large",
        f"{who.address.place} closes the connection on a message of {size} bytes, which is not sent any more: raise "
        "its limit to at least 16 KiB",
    )


def keepalive(who: Identity) -> Reason:
    """Return the reason for a connection that was silent for longer than the keep-alive."""
    return Reason(
        "broker_silent", f"{who.address.place} has not answered for {who.address.keepalive_s} s or longer"
    )


def no_answer(who: Identity) -> Reason:
    """Return the reason for a server that accepts the connection, but does not answer CONNECT."""
    return Reason(
        "no_answer",
        f"{who.address.place} accepts the connection but does not answer: is it an MQTT broker?",
    )


def not_mqtt(who: Identity) -> Reason:
    """Return the reason for an answer that is not MQTT."""
    return Reason("not_mqtt", f"{who.address.place} sends what is not MQTT: is it an MQTT broker?")


def closed_unanswered(who: Identity) -> Reason:
    """Return the reason for a connection that was closed before any answer."""
    return Reason(
        "closed_unanswered",
        f"{who.address.place} closes the connection without an answer: {_tls_mismatch(who.address)}; "
        f"or it refuses {who.user} or the password ({who.address.names.user}), or speaks another version of MQTT",
    )


def _not_authorized(who: Identity) -> str:
    """Who is not; and whose the certificate is, where it is not ours."""
    expected = who.address.certificate_name
    own = certificate.read(who.address.cert_file)
    if own is None or not expected or own.name == expected:
        return f"{who.user} is not authorised, or the password is wrong ({who.address.names.user})"
    return f"not authorised: this device's certificate is for {own.name!r}, and its `node.id` is {expected!r}"


def _unknown_name(address: BrokerAddress) -> str:
    if address.host.rstrip(".").lower().endswith(".local"):
        return (
            "names in .local are found by mDNS, which this machine may lack: sudo apt install avahi-daemon "
            f"libnss-mdns, or give the address as {address.names.host}"
        )
    return f"check {address.names.host} and this network's DNS"


def _tls_mismatch(address: BrokerAddress) -> str:
    if not address.tls:
        return f"if this is a TLS port, {address.names.tls_on}"
    mutual = (
        "" if address.cert_file else f"; if it wants a client certificate, set {address.names.certificate}"
    )
    return f"is {address.names.port} its TLS port? without TLS {address.names.tls_off}{mutual}"


def _of_certificate(error: ssl.SSLCertVerificationError, address: BrokerAddress) -> Reason:
    code, text = f"broker_certificate_{error.verify_code}", (error.verify_message or str(error)).rstrip(".")
    names = address.names
    meaning = f"is not accepted ({text}): make it and its authority anew as docs/brokers.md says"
    if error.verify_code == 10:
        code = "broker_certificate_expired"
        meaning = "has expired (or this machine's clock is ahead): renew it, check the clock"
    elif error.verify_code == 9:
        code = "broker_certificate_not_yet_valid"
        meaning = "is not valid yet: this machine's clock is probably behind; check the time service"
    elif "ostname mismatch" in text or "IP address mismatch" in text:
        code = "broker_certificate_other_host"
        meaning = f"is not for {address.host!r}: use the name that it is for as {names.host}"
    elif error.verify_code in (18, 19, 20, 21):
        code = "broker_certificate_unknown_ca"
        by = f"{names.ca_file} ({address.ca_file})" if address.ca_file else "the system's authorities"
        meaning = f"is not signed by {by}: set {names.ca_file} to the CA that signed it"
    return Reason(code, f"{address.place}: the broker's certificate {meaning}")
