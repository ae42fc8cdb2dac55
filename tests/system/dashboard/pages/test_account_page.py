"""The user's own account in the page."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.support.guarded_dashboard import DESKTOP, PHONE, Guarded, open_guarded
from tests.support.waiting import until

NEW = "correct horse battery staple"


def test_a_password_is_changed_in_the_page_and_asked_for_at_once(browser, mosquitto, tmp_path, artefacts):
    guarded = Guarded(tmp_path, mosquitto)
    password = guarded.user("vera")
    try:
        with open_guarded(browser, guarded.url, "vera", password, **PHONE) as page:
            page.get_by_role("link", name="vera").click()
            page.get_by_label("Old password").fill(password)
            page.get_by_label("New password", exact=True).fill(NEW)
            page.get_by_label("New password, once more").fill(f"{NEW}x")
            page.get_by_role("button", name="Change the password").click()
            expect(page.get_by_role("alert")).to_contain_text("not the same")
            page.get_by_label("New password, once more").fill(NEW)
            page.screenshot(path=artefacts / "account-390-light.png", full_page=True)
            page.get_by_role("button", name="Change the password").click()
            page.locator("input[name=password]").wait_for()
        assert guarded.log_in("vera", password)[1].status_code == 401
        assert guarded.log_in("vera", NEW)[1].status_code == 303
    finally:
        guarded.child.kill()


def confirm(page, password):
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Your password").fill(password)
    dialog.locator("button[type=submit]").click()


def test_an_operator_manages_users_in_the_page(browser, mosquitto, tmp_path, artefacts):
    guarded = Guarded(tmp_path, mosquitto)
    try:
        with open_guarded(browser, guarded.url, "operator", guarded.password, **DESKTOP) as page:
            page.goto(f"{guarded.url}/account")
            users = page.get_by_role("region", name="Users")
            users.get_by_label("Name").fill("vera")
            users.get_by_role("button", name="Add user").click()
            confirm(page, "not the password")
            expect(users.get_by_role("alert")).to_contain_text("wrong")
            users.get_by_role("button", name="Add user").click()
            confirm(page, guarded.password)
            password = users.locator(".rt-secret-text").inner_text()
            page.screenshot(path=artefacts / "users-1280-light.png", full_page=True)
            client, answer = guarded.log_in("vera", password)
            assert answer.status_code == 303
            assert client.get("/api/users").status_code == 403
            users.get_by_label("Role of vera").select_option("operator")
            confirm(page, guarded.password)
            expect(users.get_by_role("listitem").filter(has_text="vera")).to_contain_text("change everything")
            # A new role ends the sessions; the middleware knows them for five seconds.
            until(lambda: client.get("/api/me").status_code == 401, 10)
            client, answer = guarded.log_in("vera", password)
            assert client.get("/api/users").status_code == 200
            users.get_by_role("button", name="Delete: vera").click()
            confirm(page, guarded.password)
            expect(users.get_by_role("listitem")).to_have_count(1)
        assert guarded.log_in("vera", password)[1].status_code == 401
    finally:
        guarded.child.kill()


def test_a_user_ends_another_browser_and_makes_a_token(browser, mosquitto, tmp_path, artefacts):
    guarded = Guarded(tmp_path, mosquitto)
    password = guarded.user("vera")
    other, _ = guarded.log_in("vera", password)
    try:
        with open_guarded(browser, guarded.url, "vera", password, **PHONE) as page:
            page.goto(f"{guarded.url}/account")
            expect(page.get_by_role("region", name="Users")).to_have_count(0)
            page.get_by_role("button", name="End python-httpx").click()
            card = page.get_by_role("region", name="Where you are logged in")
            expect(card.get_by_role("listitem")).to_have_count(1)
            until(lambda: other.get("/api/me").status_code == 401, 10)
            card.get_by_label("What for").fill("wall display")
            card.get_by_role("button", name="New token").click()
            confirm(page, password)
            token = card.locator(".rt-secret-text").inner_text()
            page.screenshot(path=artefacts / "sessions-390-light.png", full_page=True)
            bearer = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=guarded.url, headers=bearer) as program:
                assert program.get("/api/me").json()["role"] == "viewer"
                # A token that was stolen must not make others, or change who may log in.
                assert program.post("/api/tokens", json={"label": "more"}).status_code == 403
                card.get_by_role("button", name="End wall display").click()
                until(lambda: program.get("/api/me").status_code == 401, 10)
    finally:
        guarded.child.kill()


def test_operators_cannot_shut_themselves_out(mosquitto, tmp_path):
    guarded = Guarded(tmp_path, mosquitto)
    try:
        client, _ = guarded.log_in()
        own = {"password": guarded.password}
        assert client.patch("/api/users/operator", json={"role": "viewer"} | own).status_code == 409
        assert client.request("DELETE", "/api/users/operator", json=own).status_code == 409
        assert client.request("DELETE", "/api/users/nobody", json=own).status_code == 404
        assert client.post("/api/users", json={"name": "../x"} | own).status_code == 422
        assert [user["name"] for user in client.get("/api/users").json()] == ["operator"]
    finally:
        guarded.child.kill()
