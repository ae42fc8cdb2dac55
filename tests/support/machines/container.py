"""A Debian that boots with its own systemd (debootstrap, systemd-nspawn), for the installer and the units as they are.

What is slow to make is kept outside the repository, in `~/.cache/roomtone-tests` (`ROOMTONE_TEST_CACHE`): the
bare system of each Debian, and for each state of the source the folder that `bundle-offline` made of it. A container
is an overlay over the bare system: what happens in it is gone with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.machines.system import System

CACHE = Path(os.environ.get("ROOMTONE_TEST_CACHE", Path.home() / ".cache" / "roomtone-tests"))
SOURCE = ("edge", "provisioning", "training", "dashboard", "models", "pyproject.toml")
INCLUDE = "systemd,systemd-sysv,dbus,python3,ca-certificates"
FRESH = "systemd,systemd-sysv,dbus,ca-certificates,git,sudo"
# What lets ALSA inside reach a sound server outside. The package would bring along a hundred others (FFmpeg).
PULSE = """
apt-get update -qq
apt-get install -y -qq --no-install-recommends libpulse0
cd /tmp && apt-get download -qq libasound2-plugins
dpkg-deb --fsys-tarfile libasound2-plugins*.deb | tar x -C / --wildcards '*/libasound_module_pcm_pulse.so'
rm libasound2-plugins*.deb && apt-get clean
"""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# By default nspawn lets no system inside load the programs that filter addresses, and such settings do nothing.
ADDRESS_FILTERS = ("--capability=CAP_BPF,CAP_NET_ADMIN", "--system-call-filter=bpf")
BUNDLE_AGE_S = 7200
LONG_S = 3600
"""More than any step of making one takes, on a busy machine."""
TOOLS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}


def reason_to_skip() -> str:
    """Why no container can boot here; empty: one can."""
    if os.geteuid() != 0:
        return "booting a Debian needs root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None]
    if missing:
        return f"apt install {' '.join(missing)}"
    if subprocess.run(
        ["unshare", "-m", "-p", "-n", "-f", "true"], capture_output=True, check=False
    ).returncode:
        return "namespaces are forbidden here"
    return ""


def require_container() -> None:
    """Skip the test where no container can boot; in CI it fails there."""
    reason = reason_to_skip()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"in CI these tests must run: {reason}")
    if reason:
        pytest.skip(reason)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bare(suite: str) -> Path:
    """The root folder of a minimal Debian with a client for PulseAudio; made once (minutes)."""
    return _debootstrap(suite, f"root-{suite}", INCLUDE, PULSE)


def fresh(suite: str) -> Path:
    """The root folder of a Debian as a newcomer has it: systemd, git and sudo, and no Python; made once (minutes)."""
    return _debootstrap(suite, f"fresh-{suite}", FRESH, "apt-get clean; rm -rf /var/lib/apt/lists/*")


def system_root(suite: str, name: str, include: str, script: str) -> Path:
    """The root folder of a Debian with these packages (separated by commas) after this shell script; made once."""
    return _debootstrap(suite, name, include, script)


def _debootstrap(suite: str, name: str, include: str, script: str) -> Path:
    place = CACHE / name
    with locked(name):
        if not place.is_dir():
            part = CACHE / f"part-{name}"
            shutil.rmtree(part, ignore_errors=True)
            command = ["debootstrap", "--variant=minbase", f"--include={include}", suite, str(part), mirror()]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=LONG_S)
            inside(part, [], "/bin/sh", "-ec", script)
            part.rename(place)
    return place


def mirror() -> str:
    """Where this machine itself gets its packages."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True
    )
    return next(
        uri for uri in listed.stdout.split() if uri.rstrip("/").endswith("/debian") and "security" not in uri
    )


def offline_bundle(suite: str, source: Path = ROOT) -> Path:
    """What `bundle-offline` makes of this source on that Debian; made once for each state of the source."""
    place = CACHE / "bundles" / f"{suite}-{digest(source)}"
    with locked(f"bundle-{suite}"):
        if not place.is_dir():
            for old in (CACHE / "bundles").glob(f"{suite}-*"):
                # A younger one may be what a box of another run installs from.
                if time.time() - old.stat().st_mtime > BUNDLE_AGE_S:
                    shutil.rmtree(old)
            (CACHE / "bundles").mkdir(exist_ok=True)
            (CACHE / f"pip-{suite}").mkdir(exist_ok=True)
            with overlay(bare(suite), CACHE / f"work-bundle-{suite}") as root:
                options = [
                    f"--bind-ro={source}:/src",
                    f"--bind={place.parent}:/out",
                    f"--bind={CACHE / f'pip-{suite}'}:/root/.cache/pip",
                ]
                inside(root, options, "/src/provisioning/bundle-offline", f"/out/{place.name}")
        os.utime(place)
    return place


def inside(root: Path, options: list[str], *command: str) -> None:
    """One command in a system that is not booted, with the network and the certificates of this machine."""
    # `timeout` ends it by SIGTERM: after a SIGKILL the container goes on without its nspawn.
    subprocess.run(
        ["timeout", str(LONG_S), "systemd-nspawn", "-q", "-D", str(root), "--register=no", "--keep-unit",
         "--console=pipe", "--resolv-conf=copy-host", f"--bind-ro={AUTHORITIES}:/mnt/authorities",
         "--setenv=PIP_CERT=/mnt/authorities", "--setenv=PIP_DISABLE_PIP_VERSION_CHECK=1",
         "--setenv=DEBIAN_FRONTEND=noninteractive",
         *(f"--bind-ro={file}" for file in Path("/etc/apt/apt.conf.d").glob("99*")), *options, *command],
        check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr,
    )  # fmt: skip


def digest(source: Path) -> str:
    total = hashlib.sha256()
    files = [
        file
        for part in SOURCE
        for file in ([source / part] if (source / part).is_file() else (source / part).rglob("*"))
    ]
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(
                f"{file.relative_to(source)}\0".encode() + hashlib.sha256(file.read_bytes()).digest()
            )
    return total.hexdigest()[:12]


@contextlib.contextmanager
def overlay(lower: Path, work: Path) -> Iterator[Path]:
    """A writable view of a folder; what is written into it is gone afterwards."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("upper", "work", "merged"):
        (work / name).mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={work / 'upper'},workdir={work / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(work / "merged")], check=True)
    try:
        yield work / "merged"
    finally:
        subprocess.run(["umount", "-l", str(work / "merged")], check=True)
        shutil.rmtree(work, ignore_errors=True)


def own_groups(name: str) -> Iterator[Path]:
    """Make a control group below that of this process in each hierarchy that systemd uses.

    Two containers in one group end each other's services.
    """
    mounts = {"name=systemd": Path("/sys/fs/cgroup/systemd"), "": Path("/sys/fs/cgroup/unified")}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers not in mounts:
            continue
        hierarchy = mounts[controllers] if mounts[controllers].is_dir() else Path("/sys/fs/cgroup")
        group = hierarchy / place.lstrip("/") / name
        # Where the groups belong to another program, nspawn does what it can in that of this process.
        with contextlib.suppress(OSError):
            group.mkdir(exist_ok=True)
            yield group


def remove_group(group: Path) -> None:
    """Remove a control group and those below it, as far as no process is left in them."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


class Container(System):
    """A booted system. It shares the host's network, so that a broker outside is at 127.0.0.1."""

    def __init__(self, root: Path, binds: dict[str, str], *, filters: bool = False) -> None:
        """`filters`: whether `IPAddressDeny=` and the like of its units are in force, as on a device."""
        self.root = root
        self._binds = binds
        self._filters = ADDRESS_FILTERS if filters else ()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._groups: list[Path] = []
        self.init = 0

    def boot(self, timeout_s: float = 60.0) -> None:
        log = (self.root.parent / "console.log").open("ab")
        self._groups = list(own_groups(self.root.parent.name))
        enter = "".join(f"echo $$ > {shlex.quote(str(group))}/cgroup.procs; " for group in self._groups)
        self._nspawn = subprocess.Popen(
            ["/bin/sh", "-c", f'{enter}exec "$@"', "sh",
             "systemd-nspawn", "-q", "-b", "-D", str(self.root), "--register=no", "--keep-unit", "--console=pipe",
             f"--machine={self.root.parent.name}", *self._filters,
             *(f"--bind={outside}:{inside}" for outside, inside in self._binds.items())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        end = time.monotonic() + timeout_s
        state = ""
        while state not in {"running", "degraded"}:
            assert self._nspawn.poll() is None, (self.root.parent / "console.log").read_text(errors="replace")
            assert time.monotonic() < end, f"the container does not boot: {state}"
            time.sleep(0.2)
            try:
                self.init = self._child()
                state = self.run("systemctl is-system-running", check=False).strip()
            except (OSError, IndexError):
                continue

    def _child(self) -> int:
        assert self._nspawn is not None
        pid = self._nspawn.pid
        # nspawn forks once more between itself and the system's init.
        child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        below = Path(f"/proc/{child}/task/{child}/children").read_text().split()
        name = Path(f"/proc/{child}/comm").read_text().strip()
        return child if name.startswith(("systemd", "init")) and "nspawn" not in name else int(below[0])

    def way_in(self, command: str) -> list[str]:
        return [
            "nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "env", "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root",
            "/bin/bash", "-c", command,
        ]  # fmt: skip

    def halt(self) -> None:
        """Off, as in a power cut."""
        if self._nspawn is None:
            return
        if self.init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init, signal.SIGKILL)
        try:
            self._nspawn.wait(10)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(10)
        self._nspawn = None
        self.init = 0
        for group in self._groups:
            remove_group(group)
