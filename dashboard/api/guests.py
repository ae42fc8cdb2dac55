"""Links for guests of the page *Try it*."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from dashboard.api.common import Services, record_action
from dashboard.auth.guest_page import PARAMETER
from dashboard.auth.guests import LIFETIME_S
from dashboard.auth.middleware import GUEST_PATH


class GuestLink(BaseModel):
    """A link that works once."""

    url: str
    qr: str = Field(description="the same as a QR code, a `data:` URL of an SVG image")
    seconds: int = Field(description="how long it can be used")


def router(services: Services) -> APIRouter:
    """Return the route by which operators invite guests."""
    routes = APIRouter(prefix="/api", tags=["account"])

    @routes.post("/guest-links", status_code=201)
    async def create(request: Request) -> GuestLink:
        """Create a link to the page *Try it* for a person without an account; for operators."""
        if services.guests is None:
            raise HTTPException(501, "no guest links: start the dashboard with --guest-links")
        import segno

        secret = services.guests.create()
        await record_action(services, request, "guest link", "", "ok")
        url = str(request.url.replace(path=GUEST_PATH, query=urlencode({PARAMETER: secret})))
        return GuestLink(url=url, qr=segno.make(url).svg_data_uri(scale=4, border=2), seconds=int(LIFETIME_S))

    return routes
