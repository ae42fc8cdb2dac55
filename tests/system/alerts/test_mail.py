"""E-mails of alerts, against a whole SMTP server: TLS, log-in, and what is refused."""

from __future__ import annotations

import email
import email.policy
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("aiosmtpd", reason="aiosmtpd is installed with the tests")
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dashboard.alerts.mail import MailServer
from provisioning.fleet import authority
from tests.support.broker import Broker, free_port
from tests.support.dashboard import AUTHORIZED, Dashboard, health
from tests.support.waiting import until

PASSWORD = "the password of the mailbox"


class Mailbox:
    """What the server has accepted, and the passwords that it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, list[str], EmailMessage]] = []
        self.told: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 accepted"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any
    ) -> AuthResult:
        self.told.append(data.password)
        known = (data.login, data.password) == (b"me", PASSWORD.encode())
        return AuthResult(success=known, handled=False)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the authority that signed it."""
    key, root = authority.new_ca("mail", authority.now_utc())
    issuer = authority.Authority("mail", key, root)
    own = authority.new_key()
    issued = issuer.issue_broker(["127.0.0.1"], own.public_key(), authority.now_utc(), 30)
    files = {
        "ca.pem": authority.cert_pem(root),
        "own.pem": authority.cert_pem(issued) + authority.key_pem(own),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    return context, tmp_path / "ca.pem"


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    port = free_port()
    server = Controller(
        mailbox, hostname="127.0.0.1", port=port, authenticator=mailbox.authenticate, **options
    )
    server.start()
    try:
        yield port
    finally:
        server.stop()


def test_a_message_is_sent_over_tls_with_the_password(certificate, monkeypatch):
    context, root = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    mailbox = Mailbox()
    with serving(mailbox, ssl_context=context, auth_require_tls=False) as port:
        server = MailServer.parse(f"smtps://me@127.0.0.1:{port}", "hub@example.org", PASSWORD)
        assert server.send("ann@example.org", "Küche: Shouting begins", "angry 71 %") == ""
    [(sender, recipients, message)] = mailbox.messages
    assert (sender, recipients) == ("hub@example.org", ["ann@example.org"])
    assert message["Subject"] == "Küche: Shouting begins"
    assert message.get_content().strip() == "angry 71 %"
    assert mailbox.told == [PASSWORD.encode()]


def test_starttls_is_used_where_it_is_offered_also_on_this_machine(certificate, monkeypatch):
    context, root = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    mailbox = Mailbox()
    with serving(mailbox, tls_context=context, require_starttls=True) as port:
        server = MailServer.parse(f"smtp://me@127.0.0.1:{port}", "hub@example.org", PASSWORD)
        assert server.send("ann@example.org", "a", "b") == ""
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_whose_certificate_is_not_known_gets_neither_password_nor_message(certificate, scheme):
    context, _ = certificate
    mailbox = Mailbox()
    implicit = {"ssl_context": context, "auth_require_tls": False}
    options = implicit if scheme == "smtps" else {"tls_context": context}
    with serving(mailbox, **options) as port:
        server = MailServer.parse(f"{scheme}://me@127.0.0.1:{port}", "hub@example.org", PASSWORD)
        assert "CERTIFICATE_VERIFY_FAILED" in server.send("ann@example.org", "a", "b")
    assert (mailbox.messages, mailbox.told) == ([], [])


def test_a_server_elsewhere_that_offers_no_tls_gets_nothing(monkeypatch):
    monkeypatch.setattr("dashboard.alerts.mail._is_this_machine", lambda _host: False)
    mailbox = Mailbox()
    with serving(mailbox, auth_require_tls=False) as port:
        server = MailServer.parse(f"smtp://me@127.0.0.1:{port}", "hub@example.org", PASSWORD)
        assert "STARTTLS" in server.send("ann@example.org", "a", "b")
    assert (mailbox.messages, mailbox.told) == ([], [])


def test_a_wrong_password_is_said_and_not_the_password_itself(certificate, monkeypatch):
    context, root = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    mailbox = Mailbox()
    with serving(mailbox, ssl_context=context, auth_require_tls=False) as port:
        server = MailServer.parse(f"smtps://me@127.0.0.1:{port}", "hub@example.org", "not it, surely")
        error = server.send("ann@example.org", "a", "b")
    assert error.startswith("SMTPAuthenticationError")
    assert "surely" not in error
    assert mailbox.messages == []


def test_the_test_of_a_rule_arrives_and_its_delivery_is_kept(tmp_path):
    mailbox = Mailbox()
    database = f"sqlite:///{tmp_path}/hub.db"
    with serving(mailbox) as port, Broker(folder=tmp_path) as broker:
        smtp = ("--smtp", f"smtp://127.0.0.1:{port}", "--mail-from", "hub@example.org")
        child = Dashboard(tmp_path, "--broker", broker.url, "--database", database, "--no-try-it", *smtp)
        try:
            url = child.address()
            until(lambda: health(url)["broker"] == "connected")
            with httpx.Client(base_url=url, headers=AUTHORIZED, timeout=30) as client:
                rule = {"name": "Shouting", "minutes": 10, "email": "ann@example.org"}
                number = client.post("/api/rules", json=rule).raise_for_status().json()["id"]
                client.post(f"/api/rules/{number}/test").raise_for_status()
                until(lambda: mailbox.messages)
                kept = {one["channel"]: one for one in client.get("/api/rules").json()[0]["deliveries"]}
        finally:
            child.kill()
    _, recipients, message = mailbox.messages[0]
    assert recipients == ["ann@example.org"]
    assert "Shouting" in message["Subject"]
    assert kept["email"]["error"] == ""
    assert abs(kept["email"]["at"] / 1000 - time.time()) < 120
