"""A real Home Assistant in a Debian 13 with Python 3.13, for tests; its MQTT integration is set up in its storage.

The system is made once (minutes, 1.5 GB) and kept beside the others (`tests.support.machines.container`).

    with own_network(), HomeAssistant(tmp_path, broker_port) as home:
        home.state("sensor.kitchen_emotion")
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.broker import HOST, free_port
from tests.support.machines import container

VERSION = "2026.2.3"
INCLUDE = "ca-certificates,python3,python3-venv,python3-dev,gcc,libc6-dev"
SCRIPT = f"""
python3 -m venv /opt/home-assistant
pip="/opt/home-assistant/bin/pip install --quiet --no-cache-dir"
$pip homeassistant=={VERSION} paho-mqtt==2.1.0
# It starts in recovery mode without its front end; which version, is in its own manifest.
cd /opt/home-assistant/lib/python3*/site-packages/homeassistant/components/frontend
$pip "$(grep -o 'home-assistant-frontend==[0-9.]*' manifest.json)"
"""
CONFIGURATION = """
homeassistant:
  name: Home
  latitude: 0
  longitude: 0
  elevation: 0
  unit_system: metric
  time_zone: UTC
  country: GB
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
websocket_api:
config:
automation: !include automations.yaml
input_boolean: !include helpers.yaml
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: debug
"""
USER = "tester"
PASSWORD = "a password for the test only"
START_S = 600.0
TOO_MUCH_DEBUG = "homeassistant.util.logging"
"""It warns that a part of it logs a lot, which is what these tests have its MQTT integration do."""
OWN_ECHO = "No device components to cleanup"
"""Home Assistant's answer to itself: with a device it removes the entities that are disabled, publishes the empty
discovery message once more for each of them, and receives that."""


def root() -> Path:
    """The root folder of the system; made once."""
    return container.system_root("trixie", "home-assistant-trixie", INCLUDE, SCRIPT)


class HomeAssistant:
    """A running Home Assistant; `entry` changes the data of its MQTT integration, `prefix` that of discovery.

    `link_settings` are those of a device that uses the same version of MQTT and the same prefix.
    """

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        *,
        entry: dict[str, Any] | None = None,
        prefix: str = "homeassistant",
    ) -> None:
        self.folder = folder / "home-assistant"
        self.folder.mkdir(parents=True)
        data = {"broker": HOST, "port": broker_port, "protocol": "5"} | (entry or {})
        self.status_topic = f"{prefix}/status"
        self.link_settings = (
            f"mqtt.version={data['protocol']}",
            f"homeassistant.prefix={prefix}",
            f"homeassistant.status_topic={self.status_topic}",
        )
        self._port = free_port()
        self._url = f"http://{HOST}:{self._port}/"
        self._write_storage(data, self._options(prefix))
        (self.folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self._port))
        self.set_automations([], {})
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""
        self._socket: ClientConnection | None = None
        self._number = 0

    def _options(self, prefix: str) -> dict[str, Any]:
        birth = {"topic": self.status_topic, "payload": "online", "qos": 0, "retain": False}
        return {"discovery": True, "discovery_prefix": prefix, "birth_message": birth}

    def _write_storage(self, data: dict[str, Any], options: dict[str, Any]) -> None:
        storage = self.folder / ".storage"
        storage.mkdir()
        entry = {
            "created_at": "2026-01-01T00:00:00+00:00",
            "modified_at": "2026-01-01T00:00:00+00:00",
            "data": data,
            "options": options,
            "disabled_by": None,
            "discovery_keys": {},
            "domain": "mqtt",
            "entry_id": "0123456789abcdef0123456789abcdef",
            "version": 2,
            "minor_version": 1,
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "subentries": [],
            "title": "broker",
            "unique_id": None,
        }
        content = {
            "version": 1,
            "minor_version": 5,
            "key": "core.config_entries",
            "data": {"entries": [entry]},
        }
        (storage / "core.config_entries").write_text(json.dumps(content))

    def set_automations(self, automations: list[dict[str, Any]], helpers: dict[str, Any]) -> None:
        """Write automations and helpers for the next start; JSON is YAML, too."""
        (self.folder / "automations.yaml").write_text(json.dumps(automations))
        (self.folder / "helpers.yaml").write_text(json.dumps(helpers))

    def start(self) -> HomeAssistant:
        """Start it, log in, and return when it has loaded its configuration."""
        self._run("--script", "auth", "-c", "/config", "add", USER, PASSWORD) if not self._token else None
        with (self.folder / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("-c", "/config", "--skip-pip"), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait(lambda: self._token or self._log_in(), "the login")
        self._wait(lambda: self.get("config")["state"] == "RUNNING", "the end of its start")
        return self

    def _command(self, *arguments: str) -> list[str]:
        return [
            "systemd-nspawn", "-q", "-D", str(root()), "--volatile=overlay", "--register=no", "--keep-unit",
            "--as-pid2", "--console=pipe", f"--machine=home-assistant-{self._port}", f"--bind={self.folder}:/config",
            "/opt/home-assistant/bin/hass", *arguments,
        ]  # fmt: skip

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            self._command(*arguments), check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120
        )

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                if condition():
                    return
            except (OSError, KeyError, ValueError):
                pass
            assert self._process is not None
            assert self._process.poll() is None, self.log[-3000:]
            assert time.monotonic() < end, f"Home Assistant: no {what}\n{self.log[-3000:]}"
            time.sleep(0.5)

    def stop(self) -> None:
        """End it in good order."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def __enter__(self) -> HomeAssistant:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Everything that it has logged so far."""
        return (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")

    @property
    def mqtt_warnings(self) -> list[str]:
        """Warnings and errors of its MQTT integration and of the templates that it runs."""
        return [
            line
            for line in self.log.splitlines()
            if (" WARNING " in line or " ERROR " in line)
            and OWN_ECHO not in line
            and TOO_MUCH_DEBUG not in line
            and ("components.mqtt" in line or "helpers.template" in line or "roomtone" in line)
        ]

    # --- HTTP ---

    def _log_in(self) -> str:
        flow = self._post(
            "auth/login_flow",
            {"client_id": self._url, "handler": ["homeassistant", None], "redirect_uri": self._url},
        )
        answer = {"client_id": self._url, "username": USER, "password": PASSWORD}
        code = self._post(f"auth/login_flow/{flow['flow_id']}", answer)["result"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": self._url}
        self._token = self._request("auth/token", urllib.parse.urlencode(form).encode())["access_token"]
        return self._token

    def _post(self, path: str, body: object) -> Any:
        return self._request(path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _request(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(f"{self._url}{path}", body, headers or {})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read())

    def get(self, path: str) -> Any:
        """`GET /api/PATH`."""
        return self._request(f"api/{path}", headers={"Authorization": f"Bearer {self._token}"})

    def call(self, service: str, **data: object) -> None:
        """Call a service, such as `switch.turn_on`."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._request(f"api/services/{service.replace('.', '/')}", json.dumps(data).encode(), headers)

    def entity(self, entity_id: str) -> dict[str, Any] | None:
        """State and attributes of an entity; None where it is not there."""
        try:
            found: dict[str, Any] = self.get(f"states/{entity_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return found

    def state(self, entity_id: str) -> str:
        """State of an entity; empty where it is not there."""
        found = self.entity(entity_id)
        return "" if found is None else str(found["state"])

    # --- WebSocket ---

    def ask(self, kind: str, **fields: object) -> Any:
        """Send a command of the WebSocket API and return its result."""
        if self._socket is None:
            self._socket = connect(f"ws://{HOST}:{self._port}/api/websocket", max_size=None)
            self._socket.recv()
            self._socket.send(json.dumps({"type": "auth", "access_token": self._token}))
            assert json.loads(self._socket.recv())["type"] == "auth_ok"
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "type": kind, **fields}))
        while True:
            answer = json.loads(self._socket.recv(timeout=20))
            if answer.get("id") == self._number:
                assert answer["success"], answer
                return answer["result"]

    def device(self, node: str) -> dict[str, Any] | None:
        """The device of a room, as its registry has it; None where it is not there."""
        for found in self.ask("config/device_registry/list"):
            if ["mqtt", f"roomtone_{node}"] in found["identifiers"]:
                return dict(found)
        return None

    def entity_id(self, node: str, key: str) -> str:
        """The id of an entity by the key that it was announced with; empty where it is not there."""
        for found in self.ask("config/entity_registry/list"):
            if found["unique_id"] == f"roomtone_{node}_{key}":
                return str(found["entity_id"])
        return ""

    def shown(self, key: str, node: str = "kitchen") -> str:
        """State of an entity by the key that it was announced with; empty where it is not there."""
        found = self.entity_id(node, key)
        return self.state(found) if found else ""

    def triggers(self, node: str) -> list[dict[str, Any]]:
        """The device triggers of a room."""
        device = self.device(node)
        if device is None:
            return []
        found = self.ask("device_automation/trigger/list", device_id=device["id"])
        return [one for one in found if one["domain"] == "mqtt"]
