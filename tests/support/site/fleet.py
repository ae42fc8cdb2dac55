"""A site as `roomtone fleet` makes it, with a real mosquitto on the very configuration that is shipped.

with FleetSite(tmp_path) as site:          # the broker runs
    settings = site.device("kitchen")      # for LinkProcess
    client = site.client("main", "recorder")
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.cli.main import main
from edge.util.errors import NotInForceError
from provisioning.fleet import proof
from tests.support.broker import Broker, free_port
from tests.support.waiting import until


class FleetSite:
    """Folder `site` is the authority's, `broker` the broker's, and one folder for each client."""

    def __init__(self, folder: Path, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")):
        self.folder = folder
        self.port = free_port()
        self._running = threading.Event()
        self._broker_in_use = threading.Lock()
        names = [word for host in hosts for word in ("--broker", host)]
        assert main(["fleet", "--site", str(folder / "site"), "init", *names, "--port", str(self.port)]) == 0
        where = ("--to", folder / "broker", "--data", folder / "run", "--owner", str(os.getuid()))
        self.fleet("deploy", *where, "--restart", "")
        text = (folder / "broker" / "mosquitto.conf").read_text(encoding="utf-8")
        # Nothing is changed but the address: tests listen on the loopback interface only.
        listener = f"listener {self.port}\n"
        assert listener in text
        text = text.replace(listener, f"listener {self.port} 127.0.0.1\n")
        (folder / "run").mkdir()
        self.broker = Broker(text, folder=folder / "run", port=self.port)

    def fleet(self, *words: object) -> None:
        """A command that has to work; without a broker it says that it is not in force yet."""
        running = self._running.is_set()
        wait, proof.TIMEOUT_S = proof.TIMEOUT_S, proof.TIMEOUT_S if running else 0.0  # type: ignore[misc]
        try:
            status = main(["fleet", "--site", str(self.folder / "site"), *map(str, words)])
        finally:
            proof.TIMEOUT_S = wait  # type: ignore[misc]
        assert status == 0 or (status == NotInForceError.status and not running), words

    def _watch(self) -> None:
        """As `roomtone hub broker` does: the broker is restarted when its files have changed."""
        path = self.folder / "broker" / "generation"
        seen = path.read_bytes()
        while self._running.is_set():
            if path.read_bytes() != seen:
                seen = path.read_bytes()
                self.restart()
            time.sleep(0.05)

    def join(self, node: str, role: str = "device", *more: object) -> Path:
        """Enrols, unpacks; returns the folder."""
        place = self.folder / f"{role}-{node}"
        joined = self.folder / f"{role}-{node}.join"
        self.fleet("enrol", node, "--role", role, "--out", joined, *more)
        self.unpack(joined, place)
        return place

    def unpack(self, joined: Path, place: Path) -> None:
        assert main(["join", str(joined), "--to", str(place), "--accept-unconfirmed"]) == 0

    def settings(self, place: Path) -> tuple[str, ...]:
        """`--set` for a process of the device."""
        return (
            "mqtt.host=127.0.0.1",
            "mqtt.tls=true",
            f"mqtt.ca_file={place / 'ca.crt'}",
            f"mqtt.cert_file={place / 'client.crt'}",
            f"mqtt.key_file={place / 'client.key'}",
            "homeassistant.discovery=false",
        )

    def device(self, node: str, *more: object) -> tuple[str, ...]:
        return self.settings(self.join(node, "device", *more))

    def client(self, node: str, role: str) -> Client:
        return Client(self.port, self.join(node, role))

    def restart(self) -> None:
        with self._broker_in_use:
            self.broker.stop()
            self.broker.start()

    def __enter__(self) -> FleetSite:
        self.broker.start()
        self._running.set()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()
        self._watcher.join()
        self.broker.stop()


class Client:
    """A paho client with a certificate that tries what it likes."""

    def __init__(self, port: int, place: Path, client_id: str = "", port_wait: float = 10):
        self.messages: list[paho.MQTTMessage] = []
        self.codes: dict[int, int] = {}
        self.disconnected = threading.Event()
        self._subscribed: dict[int, list[int]] = {}
        self.up = threading.Event()
        self.refused = ""
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or place.name,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        context = ssl.create_default_context(cafile=str(place / "ca.crt"))
        context.load_cert_chain(place / "client.crt", place / "client.key")
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *_: self.up.set()
        self._client.on_disconnect = lambda *_: self.disconnected.set()
        self._client.on_message = lambda _c, _d, message: self.messages.append(message)
        self._client.on_publish = lambda _c, _d, mid, code, _p: self.codes.__setitem__(mid, code.value)
        self._client.on_subscribe = lambda _c, _d, mid, codes, _p: self._subscribed.__setitem__(
            mid, [c.value for c in codes]
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self.up.wait(port_wait)

    def publish(self, topic: str, payload: str = "x", retain: bool = False) -> int:
        """The reason code of the broker's answer."""
        mid = self._client.publish(topic, payload, qos=1, retain=retain).mid
        until(lambda: mid in self.codes, 10, f"an answer to {topic}")
        return self.codes[mid]

    def subscribe(self, topic: str) -> int:
        mid = self._client.subscribe(topic, 1)[1]
        until(lambda: mid in self._subscribed, 10, f"an answer to the subscription of {topic}")
        return self._subscribed[mid][0]

    def topics(self) -> set[str]:
        return {m.topic for m in self.messages}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def as_json(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit("a part of the tests")
