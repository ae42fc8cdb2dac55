"""A Compose file of the repository with a Docker of the test's own, and with ports that are free here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.support.broker import HOST, free_port
from tests.support.machines.docker import Docker


class Compose:
    """`docker-compose` for one file; call it with the words of a command.

    Args:
        daemon: is running.
        folder: for what belongs to this test.
        file: the Compose file.
        ports: by service, the port in its container that is to be reached from here. The file's own are left out.
        environment: for the variables in the file.
        replaced: texts of the file, and what stands in their place.
    """

    def __init__(
        self,
        daemon: Docker,
        folder: Path,
        file: Path,
        ports: Mapping[str, int],
        environment: Mapping[str, str],
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.ports = {service: free_port() for service in ports}
        self._daemon = daemon
        # A list of ports in a second file would be added to the first: the stack's own is written without any.
        text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("    ports:"))
        for old, new in (replaced or {}).items():
            assert old in text
            text = text.replace(old, new)
        # Beside the file, since paths in it are relative.
        self._own = file.parent / f".test-{next(iter(self.ports.values()))}.yaml"
        self._own.write_text(text)
        services = {name: {"ports": [f"{HOST}:{self.ports[name]}:{port}"]} for name, port in ports.items()}
        (folder / "ports.yaml").write_text(json.dumps({"version": "3.8", "services": services}))
        self._files = ["-f", str(self._own), "-f", str(folder / "ports.yaml")]
        self._environment = {"COMPOSE_PROJECT_NAME": "rt", **environment}

    def __call__(self, *words: str, within: float = 300) -> str:
        done = self._daemon.run("docker-compose", *self._files, *words, within=within, env=self._environment)
        return done.stdout + done.stderr

    def states(self, *services: str) -> list[str]:
        """What Docker says of the health of these services, or, for one without a check, whether it runs."""
        numbers = self("ps", "-q", *services).split()
        form = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}"
        return self._daemon.run("docker", "inspect", "-f", form, *numbers).stdout.split()

    def close(self) -> None:
        """Remove the containers, their volumes and the file."""
        try:
            self("down", "-v", "-t", "5")
        finally:
            self._own.unlink(missing_ok=True)
