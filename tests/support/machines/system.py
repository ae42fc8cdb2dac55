"""A Debian that runs beside the test (container, virtual machine): the way in, and what its systemd says."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod


class System(ABC):
    """What a test asks of a box, whatever it is."""

    @abstractmethod
    def way_in(self, command: str) -> list[str]:
        """The command outside that runs a shell command inside."""

    def run(self, command: str, *, check: bool = True, timeout_s: float = 900.0) -> str:
        """A shell command inside; its standard output and error."""
        done = subprocess.run(
            self.way_in(command),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
        )  # fmt: skip
        text = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, (
            f"{command}: status {done.returncode}\n{text}\n{self.journal()}"
        )
        return text

    def journal(self) -> str:
        """The last lines of both daemons."""
        return self.run(
            "journalctl --no-pager --namespace=+roomtone-ear -n 60 -o short-precise -u 'roomtone-*'",
            check=False,
        )

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run(f"systemctl show -P {name} {unit}").strip()

    def pid(self, unit: str) -> int:
        """The main process of a unit, by its number inside."""
        return int(self.show(unit, "MainPID"))
