"""Who gets in, who does not, and what a browser is told."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.dashboard import AUTHORIZED, TOKEN, Dashboard, Trouble, log_in
from tests.support.guarded_dashboard import elsewhere, guarded_hub
from tests.support.waiting import until

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
HTML = {"Accept": "text/html"}


def handshake(url, path, cookie, headers):
    """The status line of the answer; empty where there is none."""
    host, port = url.removeprefix("http://").split(":")
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", f"Cookie: roomtone={cookie}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection.recv(2000).decode("latin-1").split("\r\n")[0]


STORM = """
import http.client, sys, threading
from urllib.parse import urlsplit
statuses = []
def attempts(first):
    for n in range(first, 1000, 50):
        connection = http.client.HTTPConnection(urlsplit(sys.argv[1]).netloc, timeout=60)
        headers = {"X-Forwarded-For": f"10.0.{n // 250}.{n % 250}"}
        connection.request("POST", "/login", f"name=operator&password=wrong{n}", headers)
        statuses.append(connection.getresponse().status)
        connection.close()
threads = [threading.Thread(target=attempts, args=(n,)) for n in range(50)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*statuses)
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with guarded_hub(tmp_path_factory.mktemp("guarded")) as (made, _):
        yield made


def test_nobody_sees_anything_before_logging_in(guarded):
    with httpx.Client(base_url=guarded.url) as client:
        for path in ("/", "/room/kitchen", "/fleet", "/no/such/page"):
            answer = client.get(path, headers=HTML)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
        for path in (
            "/api/rooms",
            "/api/live",
            "/api/hub",
        ):
            assert client.get(path).status_code == 401, path
        assert client.get("/healthz").json().keys() == {"status", "broker"}
        for forged in ("x", "../", "\u00e9", "a" * 5000):
            assert client.get("/", headers={"Cookie": f"roomtone={forged}".encode()}).status_code == 401
    with httpx.Client(base_url=guarded.url, headers={"Authorization": "Bearer x"}) as client:
        assert client.get("/").status_code == 401


def test_the_first_start_shows_a_password_once_and_the_database_keeps_none(guarded):
    client, answer = guarded.log_in()
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get("/").status_code == 200
    kept = b"".join(file.read_bytes() for file in guarded.file.parent.glob("hub.db*"))
    assert guarded.password.encode() not in kept
    assert client.cookies["roomtone"].encode() not in kept
    with sqlite3.connect(guarded.file) as connection:
        assert (
            connection.execute("select password from users")
            .fetchone()[0]
            .startswith("$argon2id$v=19$m=65536,t=3,")
        )
    guarded.restart()
    assert "password" not in guarded.child.log
    client.base_url = guarded.url
    assert client.get("/").status_code == 200  # A session outlives the dashboard.


def test_one_logs_in_and_out_in_a_browser(guarded, browser, artefacts):
    context = browser.new_context(**PHONE)
    page = context.new_page()
    trouble = Trouble()
    trouble.watch(page, guarded.url)
    page.goto(f"{guarded.url}/room/kitchen?x=1")
    expect(page.get_by_label("Name")).to_be_focused()
    page.screenshot(path=artefacts / "login-phone.png")
    log_in(page, "operator", guarded.password)
    page.wait_for_url("**/room/kitchen?x=1")
    expect(page.locator(".rt-user")).to_contain_text("operator")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.get_by_text("There is no data for this room.")).to_be_visible()
    # A request that is given up because the page is left would count as a failed one.
    page.wait_for_load_state("networkidle")
    page.goto(guarded.url)
    expect(page.locator(".rt-empty")).to_be_visible()
    assert not trouble, trouble
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(guarded.url)
    assert page.url.endswith("/login")
    context.close()


def test_the_form_speaks_spanish_and_leads_nowhere_else(guarded):
    with httpx.Client(base_url=guarded.url, headers={"Accept-Language": "es-ES,en;q=0.5"}) as client:
        assert "Contraseña" in client.get("/login").text
    for wanted in ("//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "javascript:x"):
        answer = httpx.post(
            f"{guarded.url}/login",
            params={"next": wanted},
            data={"name": "operator", "password": guarded.password},
            headers=elsewhere(),
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), wanted
    shown = httpx.post(
        f"{guarded.url}/login", data={"name": '"><script>x', "password": "y"}, headers=elsewhere()
    )
    assert "<script" not in shown.text


def test_another_site_can_neither_log_in_nor_post_nor_open_a_socket(guarded):
    client, _ = guarded.log_in()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.post("/logout", headers=headers).status_code == 403, headers
        assert client.post("/login", headers=headers).status_code == 403
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        path = "/api/live"
        assert "101" not in handshake(guarded.url, path, client.cookies["roomtone"], upgrade | headers)
    assert "101" in handshake(
        guarded.url, path, client.cookies["roomtone"], upgrade | {"Origin": guarded.url}
    )
    assert client.get("/").status_code == 200
    assert (
        client.post("/logout", headers={"Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}).status_code
        == 303
    )
    assert client.get("/").status_code == 401


def test_no_script_runs_but_those_of_the_page(guarded, browser):
    client, _ = guarded.log_in()
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    context = browser.new_context()
    context.add_cookies([{"name": "roomtone", "value": client.cookies["roomtone"], "url": guarded.url}])
    page = context.new_page()
    page.goto(guarded.url)
    expect(page.locator(".rt-empty")).to_be_visible()
    page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "window.hacked = 1";
        document.body.append(s);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 2'>"); }"""
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    context.close()


def test_a_thousand_logins_are_sent_away_and_pages_stay_quick(guarded):
    client, answer = guarded.log_in()
    assert answer.status_code == 303

    # In a process of its own, so that the time of a page is that of the dashboard alone.
    storm = subprocess.Popen([sys.executable, "-c", STORM, guarded.url], stdout=subprocess.PIPE, text=True)
    slowest = 0.0
    while storm.poll() is None:
        begin = time.monotonic()
        assert client.get("/").status_code == 200
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.8)  # Fewer than the limit of pages a minute, however long the storm lasts.
    statuses = [int(word) for word in storm.stdout.read().split()]
    assert len(statuses) == 1000
    assert set(statuses) <= {401, 503}
    assert statuses.count(503) > 500
    assert slowest < 2, slowest
    again = [client.post("/login", data={"name": "operator", "password": "x"}).status_code for _ in range(11)]
    assert again[-1] == 429


@pytest.mark.parametrize("proxy", [(), ("--proxy", "10.1.2.3")])
def test_an_address_that_no_configured_proxy_names_is_not_believed(tmp_path, broker, proxy):
    """`X-Forwarded-For` from elsewhere would give each attempt at a password a limit of its own."""
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    child = Dashboard(
        tmp_path, "--broker", broker.url, "--database", database, "--login", "--no-try-it", *proxy
    )
    try:
        form = {"name": "operator", "password": "x"}
        attempts = [
            httpx.post(f"{child.address()}/login", data=form, headers=elsewhere(), timeout=30).status_code
            for _ in range(11)
        ]
        assert attempts[0] == 401
        assert attempts[-1] == 429
    finally:
        child.kill()


def test_of_a_list_of_addresses_the_one_that_the_proxy_has_added_counts(tmp_path, broker):
    """What a client writes into `X-Forwarded-For` comes first: it would get a limit of its own for each attempt."""
    database = f"sqlite:///{tmp_path / 'hub.db'}"
    given = ("--broker", broker.url, "--database", database, "--login", "--no-try-it", "--proxy", "127.0.0.1")
    child = Dashboard(tmp_path, *given)
    try:
        form = {"name": "operator", "password": "x"}
        codes = [
            httpx.post(
                f"{child.address()}/login",
                data=form,
                headers={"X-Forwarded-For": f"127.0.0.1, 10.9.8.{n}, 203.0.113.9"},
                timeout=30,
            ).status_code
            for n in range(11)
        ]
        assert (codes[0], codes[-1]) == (401, 429)
    finally:
        child.kill()


def test_without_a_login_the_token_of_the_terminal_is_asked_for(dashboard, browser):
    ready = dashboard.wait_ready(120)
    url, _, query = ready.rpartition(" ")[2].partition("?")
    assert query == f"token={TOKEN}"
    for headers in (
        {},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Host": "localhost"},
        {"Authorization": "Bearer x"},
    ):
        assert httpx.get(url, headers=headers).status_code == 401, headers
        assert httpx.post(f"{url}api/rules", headers=headers, json={}).status_code == 401, headers
    assert httpx.get(f"{url}api/rooms", headers=AUTHORIZED).status_code == 200
    # A header that no configured proxy has set is ignored: the cookie is one for plain HTTP.
    answer = httpx.get(f"{url}fleet?token={TOKEN}&a=b", headers={"X-Forwarded-Proto": "https"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/fleet?a=b")
    assert "secure" not in answer.headers["set-cookie"].lower()
    page = browser.new_context().new_page()
    page.goto(url)
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rt-board")
    assert TOKEN not in page.url
    page.context.close()


def logged_in(guarded, browser, name):
    """An open page of a new user."""
    password = guarded.user(name)
    page = browser.new_context().new_page()
    page.goto(guarded.url)
    log_in(page, name, password)
    expect(page.locator(".rt-user")).to_contain_text(name)
    return page


def test_a_session_that_has_ended_ends_its_open_page(guarded, browser):
    page = logged_in(guarded, browser, "bob")
    # The gate has just answered for it and remembers that for seconds, by which no reload may be let in once more.
    page.reload()
    assert guarded.hub("user", "passwd", "bob", "--generate").returncode == 0
    expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=20_000)
    page.context.close()


def test_a_page_whose_session_ended_while_it_was_away_asks_for_a_login(guarded, browser):
    page = logged_in(guarded, browser, "eve")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("The connection to the hub is lost.")).to_be_visible()
    assert guarded.hub("user", "passwd", "eve", "--generate").returncode == 0
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    until(lambda: httpx.get(f"{guarded.url}/api/rooms", cookies=cookies).status_code == 401)
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=20_000)
    page.context.close()


def test_users_come_and_go_at_the_terminal_and_all_of_it_is_written_down(guarded):
    password = guarded.user("ann")
    assert guarded.log_in("ann", password)[1].status_code == 303
    said = guarded.hub("user", "add", "ann", "--stdin", text="a long password\n")
    assert (said.returncode, "a user of this name exists already" in said.stderr) == (2, True)
    for bad, words in (
        ("short\n", "at least 10"),
        ("annannann1\n", "must not contain"),
        ("aaaaaaaaaaaa\n", "different"),
    ):
        said = guarded.hub("user", "passwd", "ann", "--stdin", text=bad)
        assert (said.returncode, words in said.stderr) == (2, True), said.stderr
    token = guarded.hub("user", "token", "ann", "--label", "wall").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(guarded.url, headers=headers).status_code == 200
    assert [
        (u["name"], u["role"], u["sessions"], u["tokens"])
        for u in json.loads(guarded.hub("user", "list", "--json").stdout)
        if u["name"] == "ann"
    ] == [
        ("ann", "viewer", 1, 1),
    ]
    assert guarded.hub("user", "remove", "ann").returncode == 0
    until(lambda: httpx.get(guarded.url, headers=headers).status_code == 401)
    with sqlite3.connect(guarded.file) as connection:
        notes = connection.execute("select who, action, target from audit order by id").fetchall()
    assert ("terminal", "user add", "ann viewer") in notes
    assert ("ann", "login", "") in notes
    assert ("terminal", "user remove", "ann") in notes
