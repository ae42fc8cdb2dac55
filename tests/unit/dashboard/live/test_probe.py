"""Does the hub's own page answer? Asked of a small server that answers as the dashboard does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dashboard.live.probe import page_answers


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = {"/": 200, "/token": 401, "/login": 302, "/other": 200, "/broken": 500}[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(b"<title>nginx</title>" if self.path == "/other" else b"<title>Roomtone</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["/", "/token", "/login"])
def test_a_page_with_or_without_a_login_answers(url, path):
    assert page_answers(url + path)


@pytest.mark.parametrize("path", ["/other", "/broken"])
def test_an_error_and_the_page_of_another_server_are_no_answer(url, path):
    assert not page_answers(url + path)


def test_the_proxy_of_the_environment_is_not_used(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert page_answers(url + "/")


def test_where_nothing_listens_there_is_no_answer():
    assert not page_answers("http://127.0.0.1:9/")
