"""A hub of several of everything: a recorder and a dashboard for each broker, one database, Caddy in front."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.conftest import ROOT
from tests.support.broker import HOST, free_port
from tests.support.dashboard import AUTHORIZED, Dashboard
from tests.support.machines.postgres import Postgres
from tests.support.process import RoomtoneProcess, environment_without
from tests.support.scale.cluster import PASSWORD, Node
from tests.support.waiting import until

CADDYFILE = ROOT / "docker" / "scale" / "Caddyfile"
PAUSE_S = 5.0


class Hub:
    """All programs of a hub; `fail` ends some of them."""

    def __init__(self, folder: Path, nodes: Sequence[Node], postgres: Postgres) -> None:
        self.recorders: list[RoomtoneProcess] = []
        self.dashboards: list[Dashboard] = []
        self._nodes = nodes
        self._postgres = postgres
        self._engine = create_engine(postgres.url)
        for number in range(len(nodes)):
            place = folder / f"hub-{number}"
            place.mkdir()
            # Each has its own node first.
            urls = [node.url for node in (*nodes[number:], *nodes[:number])]
            where = (*(word for url in urls for word in ("--broker", url)), "--database", postgres.url)
            environment = environment_without("PYTEST", "ROOMTONE", ROOMTONE_MQTT_PASSWORD=PASSWORD)
            self.recorders.append(
                RoomtoneProcess(
                    place, "recorder", *where, "--name", str(number), environment=environment
                ).start()
            )
            self.dashboards.append(Dashboard(place, *where, ROOMTONE_MQTT_PASSWORD=PASSWORD))
        self.url = f"http://{HOST}:{free_port()}"
        self._caddy = self._start_caddy(folder)
        until(lambda: self.status("healthz") == httpx.codes.OK, 30, (folder / "caddy.log").read_text)

    def _start_caddy(self, folder: Path) -> subprocess.Popen[bytes]:
        environment = {
            "ROOMTONE_ADDRESS": self.url,
            "ROOMTONE_DASHBOARD": " ".join(one.address().removeprefix("http://") for one in self.dashboards),
            "HOME": str(folder),
        }
        with (folder / "caddy.log").open("wb") as log:
            return subprocess.Popen(
                ["caddy", "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environment,
            )  # fmt: skip

    def status(self, path: str) -> int:
        """The status of an answer of the pages through Caddy; 0 without one."""
        try:
            return httpx.get(f"{self.url}/{path}", headers=AUTHORIZED).status_code
        except httpx.TransportError:
            return 0

    def rooms_online(self) -> list[int]:
        """How many devices each dashboard knows to be online; -1 where it does not answer."""
        found = []
        for dashboard in self.dashboards:
            try:
                reply = httpx.get(f"{dashboard.address()}/api/fleet?limit=1", headers=AUTHORIZED, timeout=30)
                found.append(int(reply.raise_for_status().json()["broker"]["devices_online"]))
            except httpx.HTTPError:
                found.append(-1)
        return found

    def memory_mb(self) -> dict[str, int]:
        """Resident memory of each program that runs."""
        found = {}
        for kind, programs in (("recorder", self.recorders), ("dashboard", self.dashboards)):
            for number, program in enumerate(programs):
                if program.running:
                    pages = Path(f"/proc/{program.pid}/statm").read_text().split()[1]
                    found[f"{kind}-{number}"] = int(pages) * os.sysconf("SC_PAGE_SIZE") // 1_000_000
        return found

    def ask(self, query: str) -> int:
        """The one number that a query of the database gives; -1 while it cannot be asked."""
        try:
            with self._engine.connect() as connection:
                return int(connection.execute(text(query)).scalar_one())
        except SQLAlchemyError:
            return -1

    def wait_for_events(self, count: int, seconds: float) -> None:
        """Until so many events are stored."""
        query = "select count(*) from events"
        until(lambda: self.ask(query) == count, seconds, lambda: f"{self.ask(query)} of {count}")

    def fail(self) -> None:
        """A recorder is killed and starts again; a broker and a dashboard are killed; the database restarts."""
        time.sleep(PAUSE_S)
        self.recorders[0].stop(signal.SIGKILL)
        time.sleep(PAUSE_S)
        self.recorders[0].start(wait=False)
        time.sleep(PAUSE_S)
        self._nodes[0].kill()
        time.sleep(PAUSE_S)
        self.dashboards[0].stop(signal.SIGKILL)
        time.sleep(PAUSE_S)
        self._postgres.restart()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self._caddy.terminate()
        self._caddy.wait(20)
        for program in (*self.recorders, *self.dashboards):
            program.kill()
        self._engine.dispose()


class Reader:
    """Asks for pages again and again; `answers`: the status (0: none) and the seconds of each."""

    def __init__(self, url: str, rooms: int) -> None:
        self.answers: list[tuple[str, int, float]] = []
        self._url = url
        self._rooms = rooms
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def times(self) -> list[float]:
        """How long the answers took that were no errors, sorted."""
        return sorted(seconds for _, status, seconds in self.answers if status == httpx.codes.OK)

    def _paths(self, number: int) -> tuple[str, ...]:
        return (
            "",
            f"api/rooms/room-{number % self._rooms}",
            f"api/rooms/room-{number % self._rooms}/utterances",
            "api/rooms?limit=200",
            "api/fleet",
        )

    def _run(self) -> None:
        with httpx.Client(headers=AUTHORIZED, timeout=30) as client:
            for number in itertools.count():
                for path in self._paths(number):
                    if self._over.wait(0.3):
                        return
                    begin = time.monotonic()
                    try:
                        status = client.get(f"{self._url}/{path}").status_code
                    except httpx.TransportError:
                        status = 0
                    self.answers.append((path.partition("room-")[0], status, time.monotonic() - begin))

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
