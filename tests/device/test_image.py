"""`docker/edge.Dockerfile`, built and run as docker/README.md says: the ear without a network, the link without sound.

A Docker daemon of the test's own, which leaves the network of this machine alone, and as `debian:12-slim` the bare
Debian of container.py: no registry is asked. The ear plays recordings in the place of a microphone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, SPEECH
from tests.support.broker import Broker
from tests.support.machines import container as containers
from tests.support.machines.device import Subscriber
from tests.support.waiting import seconds_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]

IMAGE = "roomtone-edge"
HARDENED = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory-swap=400m", "--memory=400m",
    "--detach",
)  # fmt: skip


class Docker:
    """A daemon with folders and a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = f"unix://{folder}/docker.sock"
        with (folder / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["dockerd", "--host", self._socket, "--data-root", folder / "data", "--exec-root", folder / "exec",
                 "--pidfile", folder / "docker.pid", "--bridge=none", "--iptables=false", "--ip6tables=false"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def started(self) -> bool:
        assert self._daemon.poll() is None, (self.folder / "dockerd.log").read_text(errors="replace")[-3000:]
        return not subprocess.run(
            ["docker", "-H", self._socket, "info"], capture_output=True, check=False
        ).returncode

    def __call__(self, *arguments: str | Path, stdin: int | Any = subprocess.DEVNULL) -> str:
        done = subprocess.run(
            ["docker", "-H", self._socket, *arguments], stdin=stdin, capture_output=True, text=True, check=False,
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
        )  # fmt: skip
        assert done.returncode == 0, f"docker {arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def close(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(60)


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    reason = containers.reason_to_skip()
    if not reason and not (
        shutil.which("docker") and shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    ):
        reason = "apt install docker.io"
    if reason:
        pytest.skip(f"an image is built and run: {reason}")
    # On the disk: the daemon's own file system does not go over every other one.
    folder = containers.CACHE / f"docker-{os.getpid()}"
    folder.mkdir(parents=True)
    docker = Docker(folder)
    try:
        seconds_until(docker.started, 60.0, "the daemon answers")
        yield docker
        for name in docker("ps", "-aq").split():
            docker("rm", "-f", name)
    finally:
        docker.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, from the files that are tracked, as they are here."""
    with containers.overlay(
        containers.bare("bookworm"), containers.CACHE / f"work-image-{os.getpid()}"
    ) as root:
        shutil.copy(containers.AUTHORITIES, root / "etc/ssl/certs/ca-certificates.crt")
        for file in Path("/etc/apt/apt.conf.d").glob("99*"):
            shutil.copy(file, root / "etc/apt/apt.conf.d")
        with subprocess.Popen(
            ["tar", "c", "-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "."], stdout=subprocess.PIPE
        ) as tar:
            change = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
            docker("import", "--change", change, "-", "debian:12-slim", stdin=tar.stdout)
    source = tmp_path_factory.mktemp("source") / "source.tar"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "c", "--null", "-T", "-", "-f", source], input=tracked, cwd=ROOT, check=True)
    with source.open("rb") as file:
        docker("build", "--network=host", "-q", "-f", "docker/edge.Dockerfile", "-t", IMAGE, "-", stdin=file)
    return IMAGE


def test_the_ear_without_a_network_is_heard_at_a_broker_outside(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    shutil.copy(SPEECH / "goforward.raw", room)
    for folder in (room, tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with Broker() as broker:
        settings = tmp_path / "roomtone.toml"
        settings.write_text(
            f'[node]\nid = "kitchen"\n[mqtt]\nhost = "{broker.host}"\nport = {broker.port}\n'
            '[runtime]\nsocket = "/run/roomtone/link.sock"\n[audio]\nsource = "playback"\nplayback_dir = "/room"\n'
        )
        heard = Subscriber(broker)
        try:
            for name, user, network in (("link", "2002", "host"), ("ear", "2001", "none")):
                docker(
                    "run", *HARDENED, f"--network={network}", f"--user={user}:2000", f"--name={name}",
                    "--volume=socket:/run/roomtone", f"--volume={name}:/var/lib/roomtone-{name}",
                    f"--volume={settings}:/etc/roomtone/roomtone.toml:ro", f"--volume={room}:/room:ro",
                    f"--tmpfs=/run/roomtone-{name}:mode=700,uid={user},gid=2000",
                    f"--env=STATE_DIRECTORY=/var/lib/roomtone-{name}", f"--env=RUNTIME_DIRECTORY=/run/roomtone-{name}",
                    f"--env=HOME=/run/roomtone-{name}",
                    image, name, "--config", "/etc/roomtone/roomtone.toml",
                )  # fmt: skip
            end = time.monotonic() + 120
            while heard.events.empty():
                assert time.monotonic() < end, docker("logs", "ear") + docker("logs", "link")
                time.sleep(0.2)
            assert "roomtone/kitchen/event" in {topic for _, topic, _ in heard.messages}
            # Nothing but an empty loopback interface; nobody is root; nothing can be written but its own folders.
            inside = ("exec", "ear", "/opt/roomtone/bin/python", "-c")
            names = docker(*inside, "import json, socket; print(json.dumps(socket.if_nameindex()))")
            assert [name for _, name in json.loads(names)] == ["lo"]
            assert docker(*inside, "import os; print(os.getuid())") == "2001"
            tried = "import os; print([p for p in ('/', '/opt', '/etc', '/tmp', '/room') if os.access(p, os.W_OK)])"
            assert docker(*inside, tried) == "[]"
        finally:
            heard.close()
