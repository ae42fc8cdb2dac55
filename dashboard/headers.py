"""Security headers: nothing is loaded from, or sent to, another origin."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "worker-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), payment=(), usb=(), microphone=(self)",
}
HTTPS_ONLY: Final = "max-age=31536000"
"""Only for a host with a public certificate. A browser applies it to all ports of a host: with the hub's own authority
every service without TLS on the same computer, such as Home Assistant, could not be reached for a year."""


class SecurityHeaders:
    """ASGI middleware that adds the security headers to each response."""

    def __init__(self, app: ASGIApp, public_host: str = "") -> None:
        self._app = app
        self._public_host = public_host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._public_host and scope["scheme"] == "https" and host_of(scope) == self._public_host:
                    headers.setdefault("Strict-Transport-Security", HTTPS_ONLY)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def host_of(scope: Scope) -> str:
    """Return the host name that the browser asked for, in lower case and without the port."""
    name: str = Headers(scope=scope).get("host", "").lower()
    return name if name.endswith("]") else name.rpartition(":")[0] or name
