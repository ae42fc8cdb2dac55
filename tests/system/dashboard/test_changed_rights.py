"""A user whose rights have changed, on the very next request: no session or token goes on with what it had."""

from __future__ import annotations

import httpx
import pytest

from tests.support.guarded_dashboard import elsewhere, guarded_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with guarded_hub(tmp_path_factory.mktemp("rights")) as (made, _):
        yield made


@pytest.fixture(scope="module")
def operator(hub):
    return hub.log_in()[0]


@pytest.fixture
def mallory(hub, operator):
    """An operator with a session, an API token, and the answers of both remembered by the middleware."""
    answer = operator.post(
        "/api/users",
        json={"name": "mallory", "role": "operator", "password": hub.password},
        headers=elsewhere(),
    )
    password = answer.json()["password"]
    session = hub.log_in("mallory", password)[0]
    made = session.post("/api/tokens", json={"label": "home", "password": password})
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    token = httpx.Client(base_url=hub.url, timeout=20, headers=elsewhere() | bearer)
    assert [one.get("/api/users").status_code for one in (session, token)] == [200, 200]
    yield session, token
    remove(hub, operator)


def remove(hub, operator):
    return operator.request(
        "DELETE", "/api/users/mallory", json={"password": hub.password}, headers=elsewhere()
    ).status_code


def change(hub, operator, **wanted):
    return operator.patch(
        "/api/users/mallory", json={"password": hub.password} | wanted, headers=elsewhere()
    ).status_code


def test_a_role_that_was_taken_away_is_gone_at_once(hub, operator, mallory):
    session, token = mallory
    assert change(hub, operator, role="viewer") == 200
    assert session.get("/api/users").status_code == 401
    # A token lives on with the rights that its user has now.
    assert token.get("/api/users").status_code == 403
    assert token.get("/api/me").json()["role"] == "viewer"


def test_a_new_password_ends_sessions_and_tokens_at_once(hub, operator, mallory):
    assert change(hub, operator, new_password=True) == 200
    assert [one.get("/api/users").status_code for one in mallory] == [401, 401]


def test_a_user_who_was_removed_is_nobody_at_once(hub, operator, mallory):
    assert remove(hub, operator) == 204
    assert [one.get("/api/me").status_code for one in mallory] == [401, 401]


def test_a_token_that_was_ended_is_refused_at_once(hub, mallory):
    session, token = mallory
    ended = next(one for one in session.get("/api/sessions").json() if one["label"] == "home")
    assert session.delete(f"/api/sessions/{ended['id']}").status_code == 204
    assert token.get("/api/me").status_code == 401
    assert session.get("/api/me").status_code == 200
