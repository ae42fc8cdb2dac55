"""What boxes fetch and the workstation uploads passes the login: it is signed, and an upload has its own token."""

import pytest

pytest.importorskip("starlette", reason="starlette is installed with roomtone[dashboard]")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.auth.limits import READ, RequestLimiter
from dashboard.auth.middleware import MAX_BODY, AuthMiddleware


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def client():
    inner = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "PUT"])])
    # Without accounts the pages answer to this machine alone, and this asks for another name.
    return TestClient(AuthMiddleware(inner, None, RequestLimiter()), base_url="http://hub.local")


def test_a_box_gets_files_where_people_are_sent_away(client):
    assert client.get("/updates/metadata/timestamp.json").status_code == 200
    assert client.get("/").status_code == 403
    assert client.get("/updates").status_code == 403


def test_a_model_that_is_larger_than_any_other_body_arrives_whole(client):
    assert client.put("/updates/api/files/x.tar", content=bytes(2 * MAX_BODY)).text == str(2 * MAX_BODY)


def test_a_box_that_never_stops_asking_is_told_to_wait(client):
    codes = [client.get("/updates/metadata/timestamp.json").status_code for _ in range(READ.amount + 1)]
    assert codes[:-1] == [200] * READ.amount and codes[-1] == 429
