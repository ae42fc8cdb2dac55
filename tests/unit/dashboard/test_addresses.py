"""The hub sends notifications to public addresses and to those that were allowed, to nothing else in its network."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network

import pytest

pytest.importorskip("httpx", reason="httpx is installed with roomtone[dashboard]")
import httpx

from dashboard.alerts import http_client
from dashboard.alerts.addresses import AllowedAddresses, RefusedAddressError
from dashboard.alerts.mail import MailServer
from edge.util.errors import UserError

PRIVATE = (
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.7",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.7",
    "64:ff9b:1::1",
    "64:ff9b::c0a8:107",
    "2002:7f00:1::",
    "2001::1",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_nothing_in_the_own_network_is_allowed_by_itself(address):
    assert not AllowedAddresses().allows(ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "64:ff9b::5db8:d822", "2606:2800:220:1:248:1893:25c8:1946"]
)
def test_public_addresses_are(address):
    assert AllowedAddresses().allows(ip_address(address))


def test_what_the_configuration_allows_is_allowed_and_nothing_beside_it():
    allowed = AllowedAddresses((ip_network("192.168.1.0/29"), ip_network("fd00::1")))
    assert allowed.allows(ip_address("192.168.1.7"))
    assert allowed.allows(ip_address("::ffff:192.168.1.7"))
    assert allowed.allows(ip_address("fd00::1"))
    for other in ("192.168.1.8", "fd00::2", "127.0.0.1"):
        assert not allowed.allows(ip_address(other))


def answers(monkeypatch, *addresses):
    """Make names resolve to addresses; return the names that were asked for."""
    asked = []

    async def getaddrinfo(_loop, host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


def test_one_private_address_of_several_refuses_the_name(monkeypatch):
    answers(monkeypatch, "93.184.216.34", "192.168.1.7")
    with pytest.raises(RefusedAddressError, match=r"^example\.org \(192\.168\.1\.7\) is not a public"):
        asyncio.run(AllowedAddresses().resolve("example.org", 443))


def test_a_refused_address_is_named_once(monkeypatch):
    answers(monkeypatch, "192.168.1.7")
    with pytest.raises(RefusedAddressError, match=r"^192\.168\.1\.7 is not a public address"):
        asyncio.run(AllowedAddresses().resolve("192.168.1.7", 443))


def test_the_request_goes_to_the_address_that_was_checked(monkeypatch):
    """A name that is resolved twice could be public for the check and private for the request."""
    asked = answers(monkeypatch, "93.184.216.34")
    sent = []

    async def handle(_transport, request):
        sent.append(request)
        return httpx.Response(302, headers={"Location": "http://127.0.0.1/"})

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    status, error = asyncio.run(
        http_client.post("https://example.org:8443/hook?x=1", b"{}", {}, AllowedAddresses())
    )
    assert (status, error) == (302, "status 302")  # Not followed.
    assert asked == ["example.org"]
    (request,) = sent
    assert str(request.url) == "https://93.184.216.34:8443/hook?x=1"
    assert request.headers["host"] == "example.org:8443"
    assert request.extensions["sni_hostname"] == "example.org"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/", "http://[::1]:1/", "http://0x7f000001/", "http://localhost/"]
)
def test_this_computer_is_refused_however_it_is_written(address):
    status, error = asyncio.run(http_client.post(address, b"{}", {}, AllowedAddresses()))
    assert status == 0
    assert "not a public address" in error or "no address" in error


def test_the_configuration_of_the_mail_server_is_checked():
    server = MailServer.parse("smtps://me%40example.org@mail.example.org", "hub@example.org", "secret")
    assert (server.host, server.port, server.tls, server.user) == (
        "mail.example.org",
        465,
        True,
        "me@example.org",
    )
    for url, sender in (
        ("mail.example.org", "hub@example.org"),
        ("smtp://me:secret@mail.example.org", "hub@example.org"),
        ("smtp://mail.example.org", "hub"),
    ):
        with pytest.raises(UserError):
            MailServer.parse(url, sender)
