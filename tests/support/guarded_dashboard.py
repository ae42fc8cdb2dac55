"""A dashboard with logins, and browsers that log in to it."""

from __future__ import annotations

import io
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from playwright.sync_api import Browser, Page

from edge.cli.main import main
from tests.support.broker import Broker
from tests.support.dashboard import Dashboard

DESKTOP = {"viewport": {"width": 1280, "height": 850}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
SPANISH = DESKTOP | {"color_scheme": "dark", "locale": "es-ES"}


def elsewhere() -> dict[str, str]:
    """Headers of another address, so that one test's logins are not counted with another's."""
    return {"X-Forwarded-For": f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"}


class Guarded:
    """A dashboard with a login, its database, and its first operator."""

    def __init__(self, folder: Path, broker: Broker, *more: str, try_it: bool = False) -> None:
        self.file = folder / "hub.db"
        self.database = f"sqlite:///{self.file}"
        self._start = (
            folder,
            "--broker",
            broker.url,
            "--database",
            self.database,
            "--login",
            "--proxy",
            "127.0.0.1",
            *([] if try_it else ["--no-try-it"]),
            *more,
        )
        self.child = Dashboard(*self._start)
        try:
            self.url = self.child.address()
            self.password = re.search(r"`operator` with the password (\S+)", self.child.log)[1]
        except BaseException:
            self.child.kill()
            raise

    def restart(self) -> None:
        self.child.kill()
        self.child = Dashboard(*self._start)
        self.url = self.child.address()

    def log_in(
        self, name: str = "operator", password: str = "", **options: Any
    ) -> tuple[httpx.Client, httpx.Response]:
        """A client that has tried to log in, and the answer."""
        client = httpx.Client(base_url=self.url, timeout=20, headers=elsewhere(), **options)
        answer = client.post("/login", data={"name": name, "password": password or self.password})
        return client, answer

    def hub(self, *words: str, text: str = "") -> SimpleNamespace:
        """Status, standard output and standard error of `roomtone hub`."""
        out, err = io.StringIO(), io.StringIO()
        before, sys.stdin = sys.stdin, io.StringIO(text)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                status = main(["hub", *words, "--database", self.database])
        finally:
            sys.stdin = before
        return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())

    def user(self, name: str, role: str = "viewer") -> str:
        """Make a user; the password."""
        return self.hub("user", "add", name, "--role", role, "--generate").stdout.strip()


@contextmanager
def guarded_hub(folder: Path, *more: str, try_it: bool = False) -> Iterator[tuple[Guarded, Broker]]:
    """A dashboard with a login and its broker, which end with the block; nothing may have raised in the dashboard."""
    with Broker(folder=folder) as broker:
        made = Guarded(folder, broker, *more, try_it=try_it)
        try:
            yield made, broker
        finally:
            made.child.kill()
    assert "Traceback" not in made.child.log, made.child.log


@contextmanager
def open_guarded(browser: Browser, url: str, name: str, password: str, **options: Any) -> Iterator[Page]:
    """A page of a user who has just logged in."""
    context = browser.new_context(**options)
    try:
        page = context.new_page()
        page.goto(url)
        page.locator("input[name=name]").fill(name)
        page.locator("input[name=password]").fill(password)
        page.locator("form button").click()
        page.wait_for_selector(".rt-board")
        yield page
    finally:
        context.close()
