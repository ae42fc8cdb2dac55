"""docker/scale/compose.yaml as it stands, run as a whole; docs/scale.md has the commands. Minutes.

There need be no registry: the base images are Debians that debootstrap makes, and the database is Debian's PostgreSQL
in an image with the interface of `postgres:17`.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.support.broker import HOST
from tests.support.link import EarClient, LinkProcess
from tests.support.machines import container, docker
from tests.support.machines.compose import Compose
from tests.support.machines.secured_brokers import PASSWORD, write_credentials
from tests.support.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(bool(docker.reason_to_skip()), reason=docker.reason_to_skip()),
    pytest.mark.skipif(bool(container.reason_to_skip()), reason=container.reason_to_skip()),
]
FILE = ROOT / "docker" / "scale" / "compose.yaml"
POSTGRES = ROOT / "tests" / "support" / "machines" / "postgres_image"
NODES = ("broker-1", "broker-2")
PORTS = {"broker-1": 8883, "broker-2": 8883, "proxy": 443}
SECRETS = {
    f"ROOMTONE_{name}": f"{name.lower()}-of-the-test"
    for name in ("HUB_PASSWORD", "DATABASE_PASSWORD", "COOKIE")
}
START_S = 600.0
"""Two Erlang nodes on a busy machine."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    folder = tmp_path_factory.mktemp("docker")
    write_credentials(folder)
    daemon = docker.Docker(folder)
    made = None
    try:
        daemon.start()
        daemon.import_base(container.bare("bookworm"), "roomtone-base")
        daemon.import_base(container.bare("trixie"), "roomtone-broker-base")
        build = (
            "docker",
            "build",
            "-t",
            "postgres:17",
            "--build-arg",
            "BASE=roomtone-broker-base",
            str(POSTGRES),
        )
        daemon.run(*build, within=1800)
        bases = {"ROOMTONE_BASE": "roomtone-base", "ROOMTONE_BROKER_BASE": "roomtone-broker-base"}
        made = Compose(
            daemon, folder, FILE, PORTS, bases | SECRETS, {"./broker.pem": str(folder / "broker.pem")}
        )
        made("build", within=3600)
        made("up", "-d")
        for node in NODES:
            until(
                lambda node=node: f"broker {node} is ready" in made("logs", node),
                START_S,
                lambda: made("logs"),
            )
        yield made
    finally:
        if made is not None:
            made.close()
        daemon.stop()


def register(stack: Compose, name: str) -> None:
    ctl = ("ejabberdctl", "--node", "ejabberd@broker-1")
    stack("exec", "-T", "broker-1", *ctl, "register", name, "localhost", PASSWORD)


def device(stack: Compose, folder: Path, name: str, node: str) -> LinkProcess:
    """The link of a device that knows this node only, as both are at one address here."""
    settings = (
        "mqtt.tls=true", f"mqtt.host={HOST}", f"mqtt.username={name}",
        f"mqtt.password_file={stack.folder}/password", f"mqtt.ca_file={stack.folder}/ca.crt",
    )  # fmt: skip
    (folder / name).mkdir()
    return LinkProcess(folder / name, stack.ports[node], name, settings)


def stored(stack: Compose) -> int:
    query = ("psql", "-U", "roomtone", "-d", "roomtone", "-tAc", "select count(*) from events")
    return int(stack("exec", "-T", "database", *query).split()[0])


@contextlib.contextmanager
def logged_in(stack: Compose) -> Iterator[httpx.Client]:
    """A browser's session; one of the dashboards has made the first user."""

    def password() -> str:
        said = stack("logs", "--no-color", "dashboard-1", "dashboard-2")
        found = re.search(r"`operator` with the password (\S+)", said)
        return found[1] if found else ""

    until(password, START_S, lambda: stack("logs", "dashboard-1", "dashboard-2"))
    address = f"https://localhost:{stack.ports['proxy']}"
    unknown = ssl._create_unverified_context()
    with httpx.Client(base_url=address, verify=unknown, timeout=30) as client:
        until(lambda: client.get("/login").status_code == httpx.codes.OK, 60)
        answer = client.post("/login", data={"name": "operator", "password": password()})
        assert answer.status_code == httpx.codes.SEE_OTHER
        yield client


def test_all_of_it_goes_on_without_one_of_each(stack: Compose, tmp_path: Path) -> None:
    nodes = stack("exec", "-T", "broker-2", "ejabberdctl", "--node", "ejabberd@broker-2", "list_cluster")
    assert set(re.findall(r"ejabberd@(broker-\d)", nodes)) == set(NODES)
    for name in ("kitchen", "study"):
        register(stack, name)
    with (
        logged_in(stack) as pages,
        device(stack, tmp_path, "kitchen", "broker-1") as kitchen,
        device(stack, tmp_path, "study", "broker-2") as study,
        EarClient(kitchen.socket) as in_kitchen,
        EarClient(study.socket) as in_study,
    ):
        in_kitchen.report()
        in_study.report()
        until(lambda: stored(stack) == 2, 120, lambda: stack("logs", "recorder-1", "recorder-2"))

        def online() -> int:
            return int(pages.get("/api/fleet").raise_for_status().json()["broker"]["devices_online"])

        until(lambda: online() == 2, 120, lambda: stack("logs", "dashboard-1", "dashboard-2"))
        assert pages.get("/api/rooms/study/events").json()["events"]

        stack("kill", "broker-1", "recorder-1", "dashboard-1")
        # The node that is left knows the users by itself: who connects now is let in.
        stack("restart", "recorder-2")
        in_study.report()
        until(lambda: stored(stack) == 3, 120, lambda: stack("logs", "recorder-2"))
        until(lambda: len(pages.get("/api/rooms/study/events").json()["events"]) == 2, 60)
        in_kitchen.report()

        stack("up", "-d")
        until(lambda: stored(stack) == 4, START_S, lambda: stack("logs", "--tail=50"))
        until(lambda: online() == 2, 180, lambda: stack("logs", "dashboard-1", "dashboard-2"))
        assert "Traceback" not in stack("logs", "--no-color")
