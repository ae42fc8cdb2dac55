"""Notifications by e-mail, through the SMTP server of the configuration."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from edge.util.errors import UserError

TIMEOUT_S: Final = 15.0
PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class MailServer:
    """An SMTP server. A password goes over TLS only, except to this machine."""

    host: str
    port: int
    sender: str
    tls: bool = False
    """TLS from the first byte (`smtps://`); else STARTTLS, which is required unless the server is this machine."""
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str, sender: str, password: str = "") -> MailServer:
        """Read `smtp://user@host:587` or `smtps://user@host`. Raises `UserError`."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.password:
            raise UserError(
                "--smtp: write smtp://user@host or smtps://user@host; the password goes into a variable"
            )
        if "@" not in sender or not sender.isprintable():
            raise UserError("--mail-from: the address that e-mails are sent from, such as hub@example.org")
        return cls(
            parts.hostname,
            parts.port or PORTS[parts.scheme],
            sender,
            parts.scheme == "smtps",
            unquote(parts.username or ""),
            password,
        )

    def send(self, recipient: str, subject: str, text: str) -> str:
        """Send a message and wait for the server; return why it failed, or an empty string."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, recipient, subject
        message.set_content(text)
        try:
            with self._connect() as server:
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:200]
        return ""

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        server.ehlo()
        if server.has_extn("starttls") or not _is_this_machine(self.host):
            server.starttls(context=context)
        return server


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
