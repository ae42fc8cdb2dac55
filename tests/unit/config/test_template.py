"""The configuration that the installer writes: every key explained, what stands there kept, the broker replaced."""

import socket
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge.config.load import load
from edge.config.settings import Config, Mqtt, Runtime, Updates
from edge.config.template import render
from edge.util.errors import UserError
from provisioning.device import connection


def test_every_key_is_in_the_file_and_explained(tmp_path: Path) -> None:
    lines = render({}).splitlines()
    for section in msgspec.structs.fields(Config):
        at = lines.index(f"[{section.name}]")
        for field in msgspec.structs.fields(section.type):
            (found,) = [n for n in range(at, len(lines)) if lines[n].startswith(f"#{field.name} = ")][:1]
            assert lines[found - 1].startswith("# "), f"{section.name}.{field.name} is not explained"
    path = tmp_path / "roomtone.toml"
    path.write_text(render({}))
    assert load(path) == Config()


def test_every_default_can_be_taken_from_its_comment(tmp_path: Path) -> None:
    text = "\n".join(
        line[1:] if line.startswith("#") and line[1:2].isalpha() and not line.endswith(" = ...") else line
        for line in render({}).splitlines()
    )
    path = tmp_path / "roomtone.toml"
    path.write_text(text)
    assert load(path) == Config()


def test_values_are_written_and_bad_ones_refused(tmp_path: Path) -> None:
    text = render(
        {"node": {"id": "kitchen", "name": 'Küche "Süd" \\'}, "audio": {"quiet_hours": ["22:00-07:00"]}}
    )
    values = tomllib.loads(text)
    assert values["node"] == {"id": "kitchen", "name": 'Küche "Süd" \\'}
    assert values["audio"] == {"quiet_hours": ["22:00-07:00"]}
    with pytest.raises(UserError, match=r"node\.id"):
        render({"node": {"id": "Küche"}})


@pytest.mark.parametrize(
    ("address", "settings"),
    [
        ("mqtt://127.0.0.1:1884", {"mqtt.host": "127.0.0.1", "mqtt.tls": False, "mqtt.port": 1884}),
        (
            "mqtts://me%40home@hub.local",
            {
                "mqtt.host": "hub.local",
                "mqtt.tls": True,
                "mqtt.username": "me@home",
                "mqtt.password_file": "/run/credentials/roomtone-link.service/site_password",
            },
        ),
    ],
)
def test_an_address_becomes_settings(address: str, settings: dict[str, object]) -> None:
    assert connection.from_address(address, ca=False) == settings


def test_addresses_of_a_cluster_become_one_broker_with_further_hosts() -> None:
    one, two, three = (f"mqtts://kitchen@broker-{number}:8884" for number in (1, 2, 3))
    assert connection.from_addresses([one, two, three], ca=True) == connection.from_address(one, ca=True) | {
        "mqtt.more_hosts": ["broker-2", "broker-3"]
    }
    assert connection.from_addresses([one], ca=False) == connection.from_address(one, ca=False)
    for other in ("mqtts://hall@broker-2:8884", "mqtts://kitchen@broker-2", "mqtt://kitchen@broker-2:8884"):
        with pytest.raises(UserError, match="same user and port"):
            connection.from_addresses([one, other], ca=False)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hub.local", "mqtts://USER@HOST"),
        ("http://hub.local", "mqtts://USER@HOST"),
        ("mqtt://hub:99999", "mqtts://USER@HOST"),
        ("mqtt://hub/path", "mqtts://USER@HOST"),
        ("mqtts://[::1", "mqtts://USER@HOST"),
        ("mqtts://hub?tls=1", "mqtts://USER@HOST"),
        ("mqtts://hub#x", "mqtts://USER@HOST"),
        ("mqtts://me:secret@hub", "can be read by every user"),
    ],
)
def test_what_is_no_address_is_refused_with_an_example(address: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        connection.from_address(address, ca=False)


def test_another_broker_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "roomtone.toml"
    old = {
        "node": {"id": "attic"},
        "audio": {"device": "usb:1:2"},
        "mqtt": {"host": "old", "tls": True, "ca_file": "/x"},
    }
    path.write_text(render(old))
    config = path.with_name("new.toml")
    config.write_text(connection.merged(path, connection.from_address("mqtt://new", ca=False), anew=True))
    found = load(config)
    assert (found.node.id, found.audio.device) == ("attic", "usb:1:2")
    assert found.mqtt == Mqtt(host="new")


@pytest.mark.parametrize(
    ("name", "node"), [("Küche-PI.local", "k-che-pi"), ("raspberrypi", "raspberrypi"), ("é", "room-1")]
)
def test_a_node_id_is_made_of_the_name_of_the_machine(name: str, node: str) -> None:
    assert connection.default_node(name) == node


def test_only_a_broker_on_this_machine_opens_the_way_to_this_machine() -> None:
    assert connection.dropins(Config(mqtt=Mqtt(host="192.0.2.1")))["roomtone-link"] == ""
    for host in ("localhost", "127.0.0.1", "::1"):
        assert "IPAddressAllow=localhost" in connection.dropins(Config(mqtt=Mqtt(host=host)))["roomtone-link"]
    further = Mqtt(host="192.0.2.1", more_hosts=("192.0.2.2", "localhost"))
    assert "IPAddressAllow=localhost" in connection.dropins(Config(mqtt=further))["roomtone-link"]
    models = Updates(url="https://127.0.0.1:8443/updates")
    assert (
        "IPAddressAllow=localhost"
        in connection.dropins(Config(mqtt=Mqtt(host="192.0.2.1"), updates=models))["roomtone-update@"]
    )
    watched = connection.dropins(Config(mqtt=Mqtt(host="192.0.2.1"), runtime=Runtime(metrics_port=9100)))[
        "roomtone-link"
    ]
    assert "SocketBindAllow=ipv4:tcp:9100" in watched


def test_a_name_that_leads_to_this_machine_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Debian's `/etc/hosts` has its own: `127.0.1.1 raspberrypi`."""
    own = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: own)
    assert (
        "IPAddressAllow=localhost"
        in connection.dropins(Config(mqtt=Mqtt(host="raspberrypi")))["roomtone-link"]
    )


def test_a_resolver_on_this_machine_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# dnsmasq\nnameserver 127.0.0.1\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\nx\n"
    )
    assert connection.loopback_resolvers(file) == ["127.0.0.1", "::1"]
    monkeypatch.setattr(connection, "loopback_resolvers", lambda: ["127.0.0.1"])
    models = Updates(url="https://192.0.2.1/updates", root_file="/etc/roomtone/root.json")
    found = connection.dropins(Config(mqtt=Mqtt(host="192.0.2.1"), updates=models))
    assert "IPAddressAllow=127.0.0.1\n" in found["roomtone-link"]
    assert "IPAddressAllow=127.0.0.1\n" in found["roomtone-update@"]
    assert found["roomtone-ear"] == ""
