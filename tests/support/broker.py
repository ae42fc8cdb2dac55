"""A real mosquitto on a free port of the loopback interface, for tests.

    from tests.support.broker import Broker

    with Broker() as broker:            # anonymous, no persistence
        ... broker.host, broker.port, broker.url
        broker.kill()                   # SIGKILL
        broker.start()                  # the same port and configuration again

`Broker(config="allow_anonymous false\\npassword_file ...", folder=tmp_path)` replaces the default line
`allow_anonymous true`; `{port}` and `{folder}` in it are filled in; a `listener` of one's own replaces the default one.
A test that only needs an open broker takes the fixture `broker` (tests/system/conftest.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

HOST = "127.0.0.1"


def mosquitto() -> str:
    """The program. Debian keeps it where an ordinary user's PATH does not look."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail("these tests need a real broker: apt-get install mosquitto mosquitto-clients")
    return found


def free_port() -> int:
    """Below those that the kernel gives to outgoing connections: a broker that is away for a while finds it free."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def refusing_subscriptions(folder: Path, *topics: str) -> str:
    """A configuration with which all is allowed but subscriptions to these topics; an access list refuses none."""
    (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    rights = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": True,
            "unsubscribe": True,
        },
        "roles": [
            {
                "rolename": "refused",
                "acls": [{"acltype": "subscribeLiteral", "topic": topic, "allow": False} for topic in topics],
            }
        ],
        "groups": [{"groupname": "all", "roles": [{"rolename": "refused"}], "clients": []}],
        "anonymousGroup": "all",
    }
    (folder / "rights.json").write_text(json.dumps(rights))
    return f"allow_anonymous true\nplugin {plugin}\nplugin_opt_config_file {{folder}}/rights.json"


class Broker:
    """A child process; `start` returns when it answers."""

    def __init__(
        self,
        config: str = "allow_anonymous true",
        folder: Path | None = None,
        port: int | None = None,
        host: str = HOST,
    ):
        self.host = host
        self.port = port or free_port()
        self._own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="broker-")) if folder is None else folder
        self._process: subprocess.Popen[bytes] | None = None
        self._config = config

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> Broker:
        assert self._process is None, "already running"
        text = self._config.replace("{port}", str(self.port)).replace("{folder}", str(self.folder))
        lines = [] if "listener" in text else [f"listener {self.port} {self.host}"]
        # As root mosquitto changes to its own user, which could not read the test's folder.
        user = ["user root"] if os.geteuid() == 0 else []
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join([*user, *lines, text, ""]), encoding="utf-8")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [mosquitto(), "-v", "-c", str(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(f"mosquitto does not start:\n{self.log}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """In good order (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As in a power cut (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Hangs: connections stay open and nothing answers (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        # A stopped process would never see the SIGTERM.
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)
