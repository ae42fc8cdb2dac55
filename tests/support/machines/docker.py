"""A Docker of its own for a test: its daemon, its images and its socket are in one folder, and no other is touched.

There need not be a registry: the base image is a Debian that debootstrap makes (see machines/container.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

PROGRAMS = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "iptables": "iptables",
}
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def reason_to_skip() -> str:
    """Why no daemon can run here; empty: one can."""
    if os.geteuid() != 0:
        return "a Docker of one's own needs root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None}
    return f"apt install {' '.join(sorted(missing))}" if missing else ""


class Docker:
    """A daemon; `run` is a command that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Below /tmp, as the path of a socket may have 107 characters.
        self._runtime = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
        self.environment = os.environ | {
            "DOCKER_HOST": f"unix://{self._runtime}/sock",
            "DOCKER_BUILDKIT": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "dockerd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self._runtime}/exec",
                 "--pidfile", f"{self._runtime}/pid", "-H", f"unix://{self._runtime}/sock"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + 60
        while self.run("docker", "info", check=False).returncode:
            assert self._process.poll() is None, (self.folder / "dockerd.log").read_text()[-2000:]
            assert time.monotonic() < end, "the Docker daemon does not answer"
            time.sleep(0.2)

    def run(
        self, *command: str, check: bool = True, within: float = 300, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command with this daemon; what it said is in the error when it fails."""
        done = subprocess.run(
            command, env=self.environment | (env or {}), capture_output=True, text=True, check=False,
            timeout=within, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done

    def import_base(self, root: Path, name: str) -> None:
        """The folder of a system as an image, with this machine's authorities and options of apt."""
        own = (AUTHORITIES, *Path("/etc/apt/apt.conf.d").glob("99*"))
        names = {f".{file}" for file in own}
        pack = self.folder / "base.tar"
        with tarfile.open(pack, "w") as archive:
            archive.add(root, ".", filter=lambda one: None if one.isdev() or one.name in names else one)
            for file in own:
                archive.add(file, f".{file}")
        changes = ("ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt", "ENV PIP_DEFAULT_TIMEOUT=180")
        self.run("docker", "import", *(w for c in changes for w in ("--change", c)), str(pack), name)
        pack.unlink()

    def stop(self) -> None:
        """Ends it and removes what it has made."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._runtime, ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
