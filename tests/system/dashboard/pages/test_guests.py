"""A guest without an account, by a link that an operator shows as a QR code."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.support.guarded_dashboard import DESKTOP, PHONE, Guarded, elsewhere, open_guarded


def test_a_guest_tries_it_by_a_link_that_works_once(browser, mosquitto, tmp_path, artefacts):
    guarded = Guarded(tmp_path, mosquitto, "--guest-links", try_it=True)
    try:
        with open_guarded(browser, guarded.url, "operator", guarded.password, **DESKTOP) as page:
            page.goto(f"{guarded.url}/try")
            page.get_by_role("button", name="Invite a guest").click()
            link = page.locator(".rt-secret-text").inner_text()
            code = page.get_by_role("img", name="QR code: Link for one guest")
            assert code.evaluate("image => image.complete && image.naturalWidth > 0")
            page.screenshot(path=artefacts / "guest-link-1280-light.png")
        assert link.startswith(f"{guarded.url}/guest?key=")
        with httpx.Client(headers=elsewhere()) as preview:
            assert preview.get(link).status_code == 200, "a preview does not use it up"
        context = browser.new_context(**PHONE)
        page = context.new_page()
        page.goto(link)
        page.screenshot(path=artefacts / "guest-390-light.png")
        page.get_by_role("button", name="Begin").click()
        expect(page.locator(".rt-record")).to_be_visible()
        expect(page.get_by_text("You are a guest")).to_be_visible()
        assert page.locator(".rt-nav a").count() == 1
        assert page.evaluate("fetch('/api/rooms').then(reply => reply.status)") == 403
        page.screenshot(path=artefacts / "guest-try-390-light.png")
        context.close()
        with httpx.Client(headers=elsewhere(), follow_redirects=True) as late:
            assert late.get(link).status_code == 410
            key = link.partition("key=")[2]
            assert late.post(f"{guarded.url}/guest", data={"key": key}).status_code == 410
            assert late.get(f"{guarded.url}/api/hub").status_code == 401
        assert link not in guarded.child.log
    finally:
        guarded.child.kill()


def test_guest_links_are_off_unless_asked_for(mosquitto, tmp_path):
    guarded = Guarded(tmp_path, mosquitto)
    try:
        client, _ = guarded.log_in()
        assert client.get("/api/hub").json()["guest_links"] is False
        assert client.post("/api/guest-links").status_code == 501
        with httpx.Client(base_url=guarded.url, headers=elsewhere()) as visitor:
            assert visitor.get("/guest").status_code == 401
    finally:
        guarded.child.kill()
