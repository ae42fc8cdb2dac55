"""The dashboard as people start it, a room that publishes, and a browser that reports what it should not do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from playwright.sync_api import Browser, Page, Request

from edge import protocol
from edge.protocol import Info
from tests.support.broker import Broker
from tests.support.process import RoomtoneProcess, environment_without
from tests.support.waiting import until

CHROMIUM = os.environ.get("ROOMTONE_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TOKEN = "token-of-the-tests"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
"""Headers for a dashboard without a login."""


class Dashboard(RoomtoneProcess):
    """`roomtone dashboard` on a free port; started at once."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        (folder / "cwd").mkdir(exist_ok=True)
        super().__init__(
            folder, "dashboard", "--port", "0", *arguments,
            environment=environment_without("PYTEST", "ROOMTONE", **{"ROOMTONE_TOKEN": TOKEN} | environment),
            cwd=folder / "cwd", stdout=subprocess.PIPE,
        )  # fmt: skip
        self.start(wait=False)

    def __enter__(self) -> Self:
        return self  # started already

    def address(self, seconds: float = 120.0) -> str:
        """The address that it prints when it is ready, without the token."""
        return self.wait_ready(seconds).rpartition(" ")[2].partition("?")[0].rstrip("/")


class Recorder(RoomtoneProcess):
    """`roomtone recorder` with a database in the folder. `where`: how it finds its broker, if not by the URL."""

    def __init__(self, broker: Broker, folder: Path, *where: str, file: Path | None = None) -> None:
        self.file = file or folder / "events.db"
        super().__init__(
            folder, "recorder", *(where or ("--broker", broker.url)), "--database", f"sqlite:///{self.file}"
        )

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(statement).fetchall()

    def count(self) -> int:
        """How many events are in the database."""
        return int(self.query("select count(*) from events")[0][0])

    def wait_connected(self) -> None:
        until(lambda: "connected" in self.codes, what=lambda: self.log)


def health(url: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/healthz", headers=AUTHORIZED)
    with urllib.request.urlopen(request, timeout=5) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def log_in(page: Any, name: str, password: str) -> None:
    """Fills in the form of a page that asks for a login."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


class Rooms:
    """Publishes for several rooms as their links would."""

    def __init__(self, broker: Broker) -> None:
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def publish(self, node: str, topic: protocol.Topic, message: Any, retain: bool | None = None) -> None:
        payload = message if isinstance(message, str | bytes) else protocol.encode(message)
        self.client.publish(
            protocol.topic("roomtone", node, topic),
            payload,
            qos=topic.qos,
            retain=topic.retain if retain is None else retain,
        ).wait_for_publish(5)

    def appear(self, node: str, name: str, mic: str = "ok") -> None:
        self.publish(node, protocol.INFO, Info(node=node, name=name, version="0.1.0"))
        self.publish(node, protocol.AVAILABILITY, "online")
        self.publish(node, protocol.MIC, mic)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Trouble(list[str]):
    """What a page must not do: speak to other hosts, write errors to the console, raise."""

    def watch(self, page: Page, url: str) -> None:
        own = (url, url.replace("http", "ws", 1), "data:", "blob:")
        page.on(
            "request", lambda r: None if r.url.startswith(own) else self.append(f"foreign request {r.url}")
        )
        page.on(
            "websocket", lambda w: None if w.url.startswith(own) else self.append(f"foreign socket {w.url}")
        )
        page.on("requestfailed", self._note_failure)
        page.on("response", lambda r: self.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("console", lambda m: self.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.append(f"exception {e}"))

    def _note_failure(self, request: Request) -> None:
        # A recording that is no longer played back is given up: it has never left the page. So is a picture that is
        # still on its way when a page is left or loaded again.
        was_left = request.resource_type == "image" and request.failure == "net::ERR_ABORTED"
        if not was_left and not request.url.startswith("blob:"):
            self.append(f"failed {request.url}: {request.failure}")


@contextmanager
def open_page(browser: Browser, url: str, path: str = "/", **options: Any) -> Iterator[tuple[Page, Trouble]]:
    context = browser.new_context(**options)
    name = f"roomtone-token-{url.rpartition(':')[2]}"
    context.add_cookies([{"name": name, "value": TOKEN, "url": url}])
    trouble = Trouble()
    page = context.new_page()
    trouble.watch(page, url)
    page.goto(url + path)
    page.wait_for_selector(".rt-board")
    try:
        yield page, trouble
    finally:
        context.close()
