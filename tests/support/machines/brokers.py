"""Brokers of others, each a child process in the network of the test: Debian 13's, and those of PyPI and npm.

Some listen on every address whatever they are told, so all of them belong in `tests.support.machines.network`. What is
slow to make is kept beside the other systems (`tests.support.machines.container`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from tests.support.broker import HOST, free_port
from tests.support.machines import container

START_S = 300.0
INCLUDE = "systemd,ca-certificates,procps,iproute2"
SCRIPT = """
apt-get update -qq
# Nothing starts while packages are installed.
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
apt-get install -y -qq --no-install-recommends mosquitto rabbitmq-server ejabberd prometheus
apt-get clean
"""
AMQTT = "amqtt==0.12.1"
AEDES = "aedes@0.51.3"
EJABBERD = """
loglevel: warning
hosts: [localhost]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: mod_mqtt
    backlog: 1000
auth_method: [anonymous]
anonymous_protocol: login_anon
modules:
  mod_mqtt:
    access_publish: {{}}
    access_subscribe: {{}}
"""


def root() -> Path:
    """The root folder of a Debian 13 with its brokers and Prometheus; made once."""
    return container.system_root("trixie", "brokers-trixie", INCLUDE, SCRIPT)


class OtherBroker:
    """A running broker; `port` is on the loopback interface."""

    def __init__(self, folder: Path, command: list[str], port: int) -> None:
        self.name = ""
        self.port = port
        self.url = f"mqtt://{HOST}:{port}"
        self.host = HOST
        self._log = folder / "broker.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, answers: Callable[[int], bool]) -> OtherBroker:
        """Return when it answers."""
        end = time.monotonic() + START_S
        while not answers(self.port):
            assert self._process.poll() is None, self.log[-2000:]
            assert time.monotonic() < end, self.log[-2000:]
            time.sleep(0.2)
        return self

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


def inside(folder: Path, name: str, *command: str, **environment: str) -> list[str]:
    """The command line for a program in that Debian; it finds the folder at `/test`."""
    return [
        "systemd-nspawn", "-q", "-D", str(root()), "--volatile=overlay", "--register=no", "--keep-unit", "--as-pid2",
        "--console=pipe", f"--machine={name}", f"--hostname={name}", f"--bind={folder}:/test",
        *(f"--setenv={key}={value}" for key, value in environment.items()), *command,
    ]  # fmt: skip


def mosquitto_13(folder: Path) -> OtherBroker:
    """mosquitto 2.0.21 of Debian 13."""
    port = free_port()
    (folder / "mosquitto.conf").write_text(f"user root\nlistener {port} {HOST}\nallow_anonymous true\n")
    return OtherBroker(folder, inside(folder, "mosquitto", "mosquitto", "-c", "/test/mosquitto.conf"), port)


def rabbitmq(folder: Path) -> OtherBroker:
    """RabbitMQ 4.0 of Debian 13 with its MQTT plug-in."""
    port = free_port()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp = none\nmqtt.listeners.tcp.1 = {HOST}:{port}\nanonymous_login_user = guest\n"
        "anonymous_login_pass = guest\nmqtt.allow_anonymous = true\n"
    )
    (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
    folder.chmod(0o755)
    environment = {
        "RABBITMQ_CONFIG_FILE": "/test/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": "/test/enabled_plugins",
        "RABBITMQ_NODENAME": "rabbit@localhost",
        "ERL_EPMD_ADDRESS": HOST,
    }
    # It would tell the service manager of its start, and end when there is none.
    command = ("env", "-u", "NOTIFY_SOCKET", "rabbitmq-server")
    return OtherBroker(folder, inside(folder, "rabbitmq", *command, **environment), port)


def ejabberd(folder: Path) -> OtherBroker:
    """ejabberd 24.12 of Debian 13."""
    port = free_port()
    (folder / "ejabberd.yml").write_text(EJABBERD.format(port=port))
    folder.chmod(0o777)
    prepare = "install -d -o ejabberd /run/ejabberd && cp /test/ejabberd.yml /etc/ejabberd/ejabberd.yml"
    program = "exec env -u NOTIFY_SOCKET ejabberdctl --node ejabberd@localhost foreground"
    command = ("sh", "-c", f"{prepare} && {program}")
    return OtherBroker(folder, inside(folder, "ejabberd", *command, ERL_EPMD_ADDRESS=HOST), port)


def rumqttd(folder: Path) -> OtherBroker:
    """rumqttd as the package `iotcore` has it."""
    port = free_port()
    return OtherBroker(folder, [sys.executable, "-m", "iotcore", "--listen", HOST, "--port", str(port)], port)


def amqtt_place() -> Path:
    """The virtual environment that has it; made once."""
    place = container.CACHE / "amqtt"
    with container.locked("amqtt"):
        if not (place / "bin" / "amqtt").is_file():
            venv.create(place, with_pip=True, clear=True)
            subprocess.run([place / "bin" / "pip", "install", "-q", AMQTT], check=True)
    return place


def amqtt(folder: Path) -> OtherBroker:
    """amqtt, a broker in Python."""
    place = amqtt_place()
    port = free_port()
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    (folder / "amqtt.yaml").write_text(json.dumps(settings))
    return OtherBroker(folder, [str(place / "bin" / "amqtt"), "-c", str(folder / "amqtt.yaml")], port)


def aedes_place() -> Path:
    """The folder in which npm has installed it; made once."""
    place = container.CACHE / "npm-aedes"
    with container.locked("npm-aedes"):
        if not (place / "node_modules" / "aedes").is_dir():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            subprocess.run(["npm", "install", "--no-fund", "--no-audit", AEDES], cwd=place, check=True)
    return place


def aedes(folder: Path) -> OtherBroker:
    """aedes, the broker of Node-RED and others."""
    place = aedes_place()
    port = free_port()
    program = f'require("net").createServer(require("aedes")().handle).listen({port}, "{HOST}")'
    (place / "serve.cjs").write_text(program)
    return OtherBroker(folder, ["node", str(place / "serve.cjs")], port)


BROKERS: dict[str, Callable[[Path], OtherBroker]] = {
    "mosquitto 2.0.21": mosquitto_13,
    "RabbitMQ 4.0": rabbitmq,
    "ejabberd 24.12": ejabberd,
    "rumqttd": rumqttd,
    "amqtt 0.12": amqtt,
    "aedes 0.51": aedes,
}
