"""The user's own account in the page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.guarded_dashboard import PHONE, Guarded, open_guarded

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
