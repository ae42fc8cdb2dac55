"""Security headers: nothing is loaded from, or sent to, another origin."""

from __future__ import annotations

import secrets
from typing import Any, Final

from jinja2 import BaseLoader, Environment
from nicegui.client import templates
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NONCE: Final = "roomtone.nonce"
"""Key of the response's nonce in the ASGI scope."""

_STRICT: Final = (
    "default-src 'self'",
    # Vue and ECharts set styles on elements; no script can run that way.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
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


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy: only scripts with the nonce run.

    Vue compiles its templates in the browser, which needs 'unsafe-eval'.
    """
    return "; ".join((*_STRICT, f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'"))


class SecurityHeaders:
    """ASGI middleware that adds the security headers to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        nonce = scope[NONCE] = secrets.token_urlsafe(16)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", policy(nonce))
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", HTTPS_ONLY)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def install_nonces() -> None:
    """Add the nonce to NiceGUI's own scripts, in its template, so that no content of a page can obtain one."""

    class WithNonce(BaseLoader):
        def __init__(self, inner: BaseLoader) -> None:
            self.inner = inner

        def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Any]:
            source, file, fresh = self.inner.get_source(environment, template)
            mark = "<script nonce=\"{{ request.scope.get('" + NONCE + "', '') }}\""
            return source.replace("<script", mark), file, fresh

    loader = templates.env.loader
    if loader is None:
        raise RuntimeError("NiceGUI's templates have no loader")
    if not isinstance(loader, WithNonce):
        templates.env.loader = WithNonce(loader)
        # Templates compiled before have no nonce.
        if templates.env.cache is not None:
            templates.env.cache.clear()
