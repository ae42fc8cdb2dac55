"""What a page shows first: the server puts it into the page, so that it is shown without a further answer."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request

from dashboard.api.account import hub_info
from dashboard.api.common import Services
from dashboard.auth.middleware import IDENTITY, identity_of

FIRST_ROOMS: Final = 24
"""As many rooms as fit on a screen; all others come over the socket a moment later."""
FIRST_EVENTS: Final = 20


def first_state(services: Services, request: Request) -> str:
    """Return the user, the hub and its first rooms as JSON that may stand in HTML.

    The room that the page is about is among them. A guest gets nothing of what is live, a request without a
    session gets null: some addresses without a page are public.
    """
    if request.scope.get(IDENTITY) is None:
        return "null"
    identity = identity_of(request)
    node = request.path_params.get("node", "")
    is_guest = identity.role == "guest"
    state = {
        "hub": hub_info(services, identity).model_dump(),
        "live": None if is_guest else services.feed.snapshot(FIRST_ROOMS, FIRST_EVENTS, node),
    }
    # A name with "</script>" in it must not end the element, nor "<!--" begin a comment.
    return msgspec.json.encode(state).decode().replace("<", "\\u003c")
