"""`roomtone hub run`: broker, recorder, pages and proxy come up, and what it prints is for people."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import free_port
from tests.support.waiting import until

PASSED_ON = (
    ("--smtp", "http://mail"),
    ("--smtp", "smtp://mail", "--mail-from", "hub"),
    ("--mail-from", "hub@example.org"),
    ("--notify", "everywhere"),
    ("--database", "mysql://x"),
)
"""Wrong options that the dashboard knows; the message names the last one."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the broker's user reaches, too: as root the broker is another user."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.timeout(600)
def test_a_hub_prints_its_addresses_and_password_and_no_log_of_its_programs(folder: Path) -> None:
    if shutil.which("caddy") is None:
        pytest.skip("apt install caddy")
    hub, https = folder / "hub", free_port()
    command = [sys.executable, "-m", "edge.cli.main", "hub", "run", "--dir", str(hub)]
    command += ["--mqtt-port", str(free_port()), "--https-port", str(https)]
    out, err = folder / "out", folder / "err"
    with (
        out.open("w") as printed,
        err.open("w") as said,
        subprocess.Popen(command, stdout=printed, stderr=said) as process,
    ):
        try:
            until(lambda: "Device" in out.read_text() or process.poll() is not None, 300)
            authority = ssl.create_default_context(
                cafile=str(hub / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt")
            )
            page = f"https://localhost:{https}/"
            with urllib.request.urlopen(f"{page}login", timeout=20, context=authority) as answer:
                assert answer.status == 200
            # A second one on the same ports is refused before it touches anything.
            second = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
            assert second.returncode == 2, second.stderr
            assert "--mqtt-port" in second.stderr
            for words in PASSED_ON:
                second = subprocess.run(
                    [*command, *words], capture_output=True, text=True, timeout=180, check=False
                )
                assert second.returncode == 2
                assert words[-2] in second.stderr and "is in use" not in second.stderr
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(120)
    lines = err.read_text().splitlines()
    assert status == 0, lines
    assert page in out.read_text()
    assert any("password" in line for line in lines)
    assert not [line for line in lines if line.startswith(("[broker]", "[recorder]", "[proxy]"))]
    assert len(lines) + len(out.read_text().splitlines()) < 15
