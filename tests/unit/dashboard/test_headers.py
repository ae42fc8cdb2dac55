"""HTTPS alone is demanded only for a host whose certificate every browser knows."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("starlette", reason="starlette is installed with roomtone[dashboard]")
from starlette.responses import PlainTextResponse

from dashboard.headers import SecurityHeaders


def headers_of(scheme, host, public_host):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "scheme": scheme, "headers": [(b"host", host.encode())], "method": "GET"}
    asyncio.run(SecurityHeaders(PlainTextResponse("x"), public_host)(scope, None, send))
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    ("scheme", "host", "public_host", "demanded"),
    [
        ("https", "rooms.example.org", "rooms.example.org", True),
        ("https", "Rooms.Example.org:443", "rooms.example.org", True),
        ("http", "rooms.example.org", "rooms.example.org", False),
        ("https", "hub.local", "rooms.example.org", False),
        ("https", "hub.local", "", False),
        ("https", "192.168.1.7:8443", "", False),
        ("https", "[fd00::1]:8443", "", False),
        ("https", "", "", False),
    ],
)
def test_only_a_public_host_demands_https(scheme, host, public_host, demanded):
    headers = headers_of(scheme, host, public_host)
    assert ("strict-transport-security" in headers) is demanded
    assert "unsafe" not in headers["content-security-policy"]
