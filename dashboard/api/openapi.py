"""`python -m dashboard.api.openapi`: the OpenAPI document of the API, from which the front end's types are made."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from fastapi import FastAPI

from dashboard import api
from dashboard.api.common import Services
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.open_sockets import OpenSockets
from dashboard.live.feed import Feed


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the API; nothing is started, and it contains no version of the software."""
    application = FastAPI(title="Roomtone hub", version="1")
    # The routes only keep the services that they are given.
    api.install(application, Services(cast("Feed", None), RequestLimiter()), OpenSockets())
    return application.openapi()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
