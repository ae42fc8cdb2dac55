"""The probe in the place of a unit's program: what its sandbox allows, and what it would without a directive."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, Protocol

EAR, LINK, SOCKET = "roomtone-ear.service", "roomtone-link.service", "roomtone-link.socket"
PROBE = "/usr/local/lib/probe.py"


class Shell(Protocol):
    """A container or a virtual machine."""

    def run(self, command: str, *, check: bool = True) -> str:
        """A shell command inside; its standard output and error."""


def put(machine: Shell, path: str, text: str) -> None:
    """Writes a file inside."""
    folder = shlex.quote(str(Path(path).parent))
    machine.run(f"mkdir -p {folder} && printf %s {shlex.quote(text)} > {shlex.quote(path)}")


def bring_probe(machine: Shell) -> None:
    put(machine, PROBE, (Path(__file__).parent / "probe.py").read_text())


READ = "StandardOutput=journal\nLogNamespace="
"""What the probe says has to be read; the ear says nothing on standard output, and logs elsewhere."""


def start_in_place(
    machine: Shell, unit: str, *wishes: str, without: str = "", logs: str = READ
) -> tuple[str, str]:
    """Runs the probe as that unit; what the unit logged, and its result (`success`, `oom-kill`).

    `without`: lines of `[Service]` that take some of the sandbox away. `logs`: those about its output; empty: as the
    unit is installed.
    """
    folder = f"/run/systemd/system/{unit}.d"
    # The ear would wake the link, and the link the ear; and whoever connected last, by the socket.
    machine.run(f"systemctl stop {EAR}")
    machine.run(f"systemctl stop {unit}" + (f" {SOCKET}" if unit == LINK else ""))
    argv = " ".join((PROBE, *wishes))
    put(
        machine,
        f"{folder}/zz-probe.conf",
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n"
        f"ExecStart=/usr/bin/python3 {argv}\n{logs}\n"
        # Another probe may have written megabytes just before; an interval of 0 would be taken for none given.
        f"LogRateLimitIntervalSec=1s\nLogRateLimitBurst=1000000\n{without}\n",
    )
    try:
        cursor = machine.run("journalctl -n 0 --show-cursor -o cat").strip().removeprefix("-- cursor: ")
        machine.run(f"systemctl daemon-reload && systemctl start {unit}", check=False)
        result = machine.run(f"systemctl show -P Result {unit}").strip()
        said = machine.run(
            f"journalctl --sync; journalctl -u {unit} -o cat --after-cursor={shlex.quote(cursor)}"
        )
    finally:
        machine.run(f"rm -r {folder} && systemctl daemon-reload && systemctl reset-failed")
        machine.run("rm -f {/srv/open,/dev/shm,/tmp,/var/tmp,/var/lib/roomtone/ear}/probe-*")
        machine.run(f"systemctl start {LINK} {EAR}")
    return said, result


def probe(machine: Shell, unit: str, *wishes: str, without: str = "") -> dict[str, Any]:
    """What the probe finds in the sandbox of a unit, for each wish."""
    said, result = start_in_place(machine, unit, *wishes, without=without)
    lines = re.findall(r"^PROBE (.*)$", said, re.MULTILINE)
    assert lines, f"{result}\n{said}"
    return dict(json.loads(lines[-1]))
