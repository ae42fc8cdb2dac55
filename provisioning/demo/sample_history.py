"""A simulated month and one alert rule, so that the demo's pages about the past and about alerts are not empty."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final

import msgspec

from edge.util.child_processes import ended_with_parent

RULE: Final = {"name": "Agitated", "kind": "episode", "minutes": 1}
"""The alert rule: an episode of agitation that lasts a minute."""
SIMULATION: Final = ("--rooms", "3", "--days", "30", "--per-day", "100")
ADD_RULE_TIMEOUT_S: Final = 30.0
NICENESS: Final = 10


class SampleHistory:
    """Fills the demo's database in the background, at low priority: the rooms of the demo come first."""

    def __init__(self, database: str, page: str, env: Mapping[str, str]) -> None:
        """`database`: an SQLAlchemy URL; `page`: the dashboard's address, with a slash at its end."""
        self._database = database
        self._page = page
        self._env = env
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._fill, name="sample-history", daemon=True)

    def start(self) -> None:
        """Begin to fill the database."""
        self._process = subprocess.Popen(
            [
                *ended_with_parent(),
                sys.executable,
                "-m",
                "edge.cli.main",
                "hub",
                "simulate",
                "--database",
                self._database,
                *SIMULATION,
            ],
            env=dict(self._env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Where the demo itself has a lower priority than that, a user may not raise it.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        self._thread.start()

    def stop(self) -> None:
        """Stop, finished or not."""
        self._stopping.set()
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            if self._thread.is_alive():
                self._thread.join(timeout=2.0)

    def _fill(self) -> None:
        body = msgspec.json.encode(RULE)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._env['ROOMTONE_TOKEN']}",
        }
        request = urllib.request.Request(f"{self._page}api/rules", data=body, headers=headers, method="POST")
        end = time.monotonic() + ADD_RULE_TIMEOUT_S
        while time.monotonic() < end and not self._stopping.wait(0.5):
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                # The recorder has not made the tables yet.
                continue
