"""Web Push from the dashboard to a double of a push service, and what the browser behind it reads."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from dashboard.alerts.push_subscription import encode_base64
from tests.support.broker import Broker
from tests.support.dashboard import AUTHORIZED, Dashboard, health
from tests.support.push import BrowserDouble
from tests.support.waiting import until


class PushService(http.server.ThreadingHTTPServer):
    """Takes messages for browsers (RFC 8030), and says that a browser is gone where it is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PushHandler)
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.gone: set[str] = set()


class PushHandler(http.server.BaseHTTPRequestHandler):
    server: PushService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((self.path, headers, body))
        self.send_response(410 if self.path in self.server.gone else 201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[PushService]:
    with PushService() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_the_browser_reads_what_the_rule_says_and_one_that_is_gone_is_forgotten(tmp_path, service):
    here, gone = BrowserDouble(), BrowserDouble()
    service.gone.add("/gone")
    with Broker(folder=tmp_path) as broker:
        child = Dashboard(
            tmp_path, "--broker", broker.url, "--database", f"sqlite:///{tmp_path}/hub.db", "--no-try-it",
            "--notify", "127.0.0.0/8",
        )  # fmt: skip
        try:
            url = child.address()
            until(lambda: health(url)["broker"] == "connected")
            with httpx.Client(base_url=url, headers=AUTHORIZED, timeout=30) as client:
                for path, browser in (("/here", here), ("/gone", gone)):
                    endpoint = f"http://127.0.0.1:{service.server_port}{path}"
                    keys = {"p256dh": encode_base64(browser.public), "auth": encode_base64(browser.auth)}
                    client.post("/api/push", json={"endpoint": endpoint, "keys": keys}).raise_for_status()
                rule = {"name": "Shouting", "minutes": 10, "push": True}
                number = client.post("/api/rules", json=rule).raise_for_status().json()["id"]
                client.post(f"/api/rules/{number}/test").raise_for_status()
                until(lambda: len(service.taken) == 2)
                by_path = {path: (headers, body) for path, headers, body in service.taken}
                headers, body = by_path["/here"]
                shown = json.loads(here.decrypt(body))
                assert "Shouting" in shown["title"]
                assert shown["path"] == "/alerts"
                assert headers["content-encoding"] == "aes128gcm"
                assert int(headers["ttl"]) > 0
                assert headers["authorization"].startswith("vapid t=")
                assert b"Shouting" not in body
                deliveries = client.get("/api/rules").json()[0]["deliveries"]
                assert [one["error"] for one in deliveries if one["channel"] == "push"] == [""]
                client.post(f"/api/rules/{number}/test").raise_for_status()
                until(lambda: len(service.taken) == 3)
                assert service.taken[-1][0] == "/here"
        finally:
            child.kill()
