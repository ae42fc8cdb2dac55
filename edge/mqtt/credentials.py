"""The password and the certificates, read anew for every connection, so that renewed ones need no restart."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge.config.settings import Mqtt
from edge.util.errors import UserError


def password(mqtt: Mqtt) -> str | None:
    """The first line of `mqtt.password_file`; None without such a file. Raises `UserError`."""
    if not mqtt.password_file:
        return None
    lines = _text(mqtt.password_file, "mqtt.password_file").splitlines()
    if not lines or not lines[0]:
        raise UserError(f"{mqtt.password_file}: empty; its first line is to be the password")
    return lines[0]


def tls_context(mqtt: Mqtt) -> ssl.SSLContext:
    """TLS 1.2 or later, the broker's name and certificate checked. Raises `UserError`."""
    if mqtt.ca_file:
        _text(mqtt.ca_file, "mqtt.ca_file")
    try:
        context = ssl.create_default_context(cafile=mqtt.ca_file or None)
    except ssl.SSLError:
        raise UserError(f"{mqtt.ca_file}: not a certificate in PEM form; see `mqtt.ca_file`") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if mqtt.cert_file:
        for path, key in ((mqtt.cert_file, "mqtt.cert_file"), (mqtt.key_file, "mqtt.key_file")):
            _text(path, key)
        try:
            # Without the function OpenSSL would ask for the password of the key on a terminal.
            context.load_cert_chain(mqtt.cert_file, mqtt.key_file, password=lambda: b"")
        except ssl.SSLError as error:
            if "KEY_VALUES_MISMATCH" in str(error):
                raise UserError(
                    f"{mqtt.key_file}: not the key of {mqtt.cert_file}; see `mqtt.key_file`"
                ) from None
            raise UserError(
                f"{mqtt.cert_file}, {mqtt.key_file}: not a certificate and a plain key in PEM form"
            ) from None
    return context


def check(mqtt: Mqtt) -> None:
    """Refuses what can never work, before the first attempt. Raises `UserError`."""
    password(mqtt)
    if mqtt.tls:
        tls_context(mqtt)


def _text(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise UserError(f"{path}: cannot be read ({why}); see `{key}`") from None
