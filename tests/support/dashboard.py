"""The dashboard as people start it, a room that publishes, and a browser that reports what it should not do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from playwright.sync_api import Browser, Page

from edge.protocol import messages
from edge.protocol.messages import Info
from tests.support.broker import Broker

CHROMIUM = os.environ.get("ROOMTONE_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Dashboard:
    """`roomtone dashboard` as a child process on a free port."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        # NiceGUI behaves differently where it believes to be part of a test.
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "NICEGUI", "ROOMTONE"))
        }
        self.errors = folder / "dashboard.stderr"
        self.folder = folder / "cwd"
        self.folder.mkdir(exist_ok=True)
        self.started = time.monotonic()
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge.cli.main", "dashboard", "--port", "0", *arguments],
                cwd=self.folder,
                env=inherited | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    @property
    def stderr(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def wait_ready(self, within: float = 20) -> str:
        """The address, as printed."""
        while time.monotonic() - self.started < within and self.process.poll() is None:
            for line in self.stderr.splitlines():
                if line.startswith("ready "):
                    return line.removeprefix("ready ").rstrip("/")
            time.sleep(0.05)
        raise AssertionError(f"the dashboard is not ready:\n{self.stderr}")

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """The exit status, and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(10), time.monotonic() - begin

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


def health(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def until(condition: Any, within: float = 30) -> Any:
    end = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
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

    def publish(self, node: str, topic: messages.Topic, message: Any, retain: bool | None = None) -> None:
        payload = message if isinstance(message, str | bytes) else messages.encode(message)
        self.client.publish(
            messages.topic("roomtone", node, topic),
            payload,
            qos=topic.qos,
            retain=topic.retain if retain is None else retain,
        ).wait_for_publish(5)

    def appear(self, node: str, name: str, mic: str = "ok") -> None:
        self.publish(node, messages.INFO, Info(node=node, name=name, version="0.1.0"))
        self.publish(node, messages.AVAILABILITY, "online")
        self.publish(node, messages.MIC, mic)

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
        page.on("requestfailed", lambda r: self.append(f"failed {r.url}: {r.failure}"))
        page.on("response", lambda r: self.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("console", lambda m: self.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.append(f"exception {e}"))


@contextmanager
def open_page(browser: Browser, url: str, path: str = "/", **options: Any) -> Iterator[tuple[Page, Trouble]]:
    context = browser.new_context(**options)
    trouble = Trouble()
    page = context.new_page()
    trouble.watch(page, url)
    page.goto(url + path)
    page.wait_for_selector(".rt-board")
    try:
        yield page, trouble
    finally:
        context.close()
