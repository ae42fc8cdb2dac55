"""Why there is no connection, in one line, with the remedy.

Codes are those of MQTT 5 (OASIS standard, 2.4 and 3.2.2.2); paho maps the few of MQTT 3.1.1 onto them.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from edge.config.settings import Config
from edge.mqtt import certificate
from edge.util.errors import UserError

UNSUPPORTED_PROTOCOL: Final = 0x84
SESSION_TAKEN_OVER: Final = 0x8E
NO_MATCHING_SUBSCRIBERS: Final = 0x10
FAILURE: Final = 0x80
"""Codes from here on say that something was not done."""


@dataclass(frozen=True)
class Reason:
    """`key` tells one reason from another (a change is logged once); `text` is for people."""

    key: str
    text: str


def place(config: Config) -> str:
    """The broker as `host:port`."""
    return f"{config.mqtt.host}:{port(config)}"


def port(config: Config) -> int:
    """The port, also where none is configured."""
    return config.mqtt.port or (8883 if config.mqtt.tls else 1883)


def client_id(config: Config) -> str:
    """One id for each box: a second box with the same node id throws the first one out."""
    return f"roomtone-{config.node.id}"


def of_exception(error: BaseException, config: Config) -> Reason:
    """Explains what `connect` raised, or what the TLS layer said."""
    where = place(config)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason(f"cert {error.verify_code}", f"{where}: {_certificate(error, config)}")
    if isinstance(error, ssl.SSLError):
        return of_tls_text(str(error), config)
    number = getattr(error, "errno", None)
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return Reason("route", f"{where} cannot be reached from here: check cable, Wi-Fi and address")
    known: tuple[tuple[type[BaseException], str, str], ...] = (
        (UserError, "files", str(error)),
        (
            socket.gaierror,
            "name",
            f"the name {config.mqtt.host!r} is unknown: check `mqtt.host` and this network's DNS",
        ),
        (
            ConnectionRefusedError,
            "refused",
            f"nothing listens on {where}: start the broker, or correct `mqtt.host` and `mqtt.port`",
        ),
        (
            TimeoutError,
            "timeout",
            f"{where} does not answer: is it switched on, and does a firewall let port {port(config)} in?",
        ),
        (ConnectionError, "reset", f"{where} ends the connection at once: {_tls_mismatch(config)}"),
    )
    for kind, key, text in known:
        if isinstance(error, kind):
            return Reason(key, text)
    return Reason(f"error {number} {type(error).__name__}", f"{where}: {error}")


def of_tls_text(text: str, config: Config) -> Reason:
    """Explains an OpenSSL error: what the broker thinks of *our* certificate comes as a TLS alert."""
    where = place(config)
    known = (
        ("WRONG_VERSION_NUMBER", f"does not speak TLS on this port: {_tls_mismatch(config)}"),
        ("RECORD_LAYER_FAILURE", f"does not speak TLS on this port: {_tls_mismatch(config)}"),
        (
            "CERTIFICATE_REQUIRED",
            "wants a certificate of this device: set `mqtt.cert_file` and `mqtt.key_file`",
        ),
        (
            "HANDSHAKE_FAILURE",
            "refuses the handshake: it may want a certificate (`mqtt.cert_file`, `mqtt.key_file`)",
        ),
        ("CERTIFICATE_EXPIRED", "says that this device's certificate has expired: renew it"),
        ("CERTIFICATE_REVOKED", "says that this device's certificate is revoked: enrol the device again"),
        (
            "UNKNOWN_CA",
            "does not know who signed this device's certificate: enrol it with the broker's own CA",
        ),
        ("BAD_CERTIFICATE", "refuses this device's certificate: enrol the device again"),
        ("KEY_VALUES_MISMATCH", "cannot be tried: `mqtt.key_file` is not the key of `mqtt.cert_file`"),
    )
    for sign, meaning in known:
        if sign in text.upper().replace(" ", "_"):
            return Reason(f"tls {sign}", f"{where} {meaning}")
    return Reason("tls", f"{where}: TLS fails ({text})")


def of_code(code: int, name: str, config: Config) -> Reason:
    """Explains a reason code of CONNACK, DISCONNECT, PUBACK or SUBACK."""
    where, who = place(config), _who(config)
    known = {
        0x80: "ends the connection for a reason of its own",
        0x81: "does not understand what we send",
        0x82: "calls this a protocol error",
        UNSUPPORTED_PROTOCOL: "does not speak this version of MQTT: set `mqtt.version`, or leave it at auto",
        0x85: f"refuses the client id {client_id(config)!r}: choose another `node.id`",
        0x86: f"refuses {who}: check `mqtt.username` and `mqtt.password_file`",
        0x87: f"does not allow this: {_not_authorised(config)}; check the broker's users and access list",
        0x88: "is not available now",
        0x89: "is too busy now",
        0x8A: f"has banned {who}: ask who runs the broker",
        0x8B: "shuts down",
        0x8C: "wants another way of authentication",
        0x8D: "heard nothing from us for too long",
        SESSION_TAKEN_OVER: (
            f"closed this connection because another client uses the id {client_id(config)!r}: "
            "give every box its own `node.id`"
        ),
        0x93: "got more than it can take at once",
        0x95: "finds a message too large: raise its limit to at least 8 KiB",
        0x96: "gets too many messages from us",
        0x97: "has no quota left for us",
        0x98: "had this connection closed by its administrator",
        0x99: "does not accept the form of a message",
        0x9C: "asks us to use another server",
        0x9D: "has moved to another server",
        0x9F: "gets too many connections",
    }
    meaning = known.get(code, f"ends the connection: {name}")
    return Reason(f"code {code}", f"{where} {meaning}")


def closed(config: Config) -> Reason:
    """The connection is over, and nobody said why."""
    return Reason("closed", f"{place(config)} has closed the connection")


def twin(config: Config) -> Reason:
    """Closed again soon after connecting: old brokers do not say that another client has taken the id over."""
    return Reason(
        "twin",
        f"{place(config)} closes every connection soon: probably another client uses the id {client_id(config)!r}; "
        "give every box its own `node.id`",
    )


def silent(config: Config) -> Reason:
    """Connected, but no answer."""
    return Reason(
        "silent", f"{place(config)} accepts the connection but does not answer: is it an MQTT broker?"
    )


def not_welcomed(config: Config) -> Reason:
    """Closed before the broker said a word."""
    return Reason(
        "no welcome",
        f"{place(config)} closes the connection without an answer: {_tls_mismatch(config)}; "
        "or it speaks another version of MQTT",
    )


def _who(config: Config) -> str:
    return (
        f"user {config.mqtt.username!r}"
        if config.mqtt.username
        else f"client {client_id(config)!r} (no user name)"
    )


def _not_authorised(config: Config) -> str:
    """Who is not; and whose the certificate is, where it is not this device's."""
    own = certificate.read(config.mqtt.cert_file)
    if own is None or own.name == config.node.id:
        return f"{_who(config)} is not authorised"
    return f"not authorised: this device's certificate is for {own.name!r}, and its `node.id` is {config.node.id!r}"


def _tls_mismatch(config: Config) -> str:
    if config.mqtt.tls:
        return "is `mqtt.port` its TLS port? without TLS set `mqtt.tls = false`"
    return "if this is a TLS port, set `mqtt.tls = true`"


def _certificate(error: ssl.SSLCertVerificationError, config: Config) -> str:
    text = (error.verify_message or str(error)).rstrip(".")
    if error.verify_code == 10:
        return (
            "the broker's certificate has expired (or this box's clock is ahead): renew it, check the clock"
        )
    if error.verify_code == 9:
        return "the broker's certificate is not valid yet: this box's clock is probably behind; check the time service"
    if "ostname mismatch" in text or "IP address mismatch" in text:
        return f"the broker's certificate is not for {config.mqtt.host!r}: use the name that it is for in `mqtt.host`"
    if error.verify_code in (18, 19, 20, 21):
        asked = (
            f"`mqtt.ca_file` ({config.mqtt.ca_file})" if config.mqtt.ca_file else "the system's authorities"
        )
        return (
            f"the broker's certificate is not signed by {asked}: set `mqtt.ca_file` to the CA that signed it"
        )
    return f"the broker's certificate is not accepted ({text})"
