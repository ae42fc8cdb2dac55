"""`roomtone doctor` asks the broker for all that the link asks, and says which of it is refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.settings import Config, HomeAssistant, Mqtt, Node
from edge.doctor.check import Check
from edge.link.broker_check import check_broker
from tests.support.broker import Broker

HEAD = "listener {port} 127.0.0.1\n"
OPEN = HEAD + "allow_anonymous true\n"


def check(broker: Broker, *, runs: bool = False, discovery: bool = True, **more: str) -> Check:
    config = Config(
        mqtt=Mqtt(host="127.0.0.1", port=broker.port, **more),
        node=Node(id="kitchen"),
        homeassistant=HomeAssistant(discovery=discovery),
    )
    return check_broker(config, runs)


def retained(broker: Broker) -> str:
    command = [
        "mosquitto_sub",
        "-p",
        str(broker.port),
        "-t",
        "roomtone/kitchen/availability",
        "-C",
        "1",
        "-W",
        "10",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    # mosquitto, started by root, reads its files as another user.
    tmp_path.chmod(0o755)
    yield tmp_path


def with_rights(folder: Path, rights: str) -> Broker:
    (folder / "acl").write_text(rights)
    (folder / "acl").chmod(0o644)
    return Broker(OPEN + "acl_file {folder}/acl\n", folder=folder)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_broker_that_takes_everything(folder: Path, version: str) -> None:
    with Broker(OPEN, folder=folder) as broker:
        found = check(broker, version=version)
    assert found.state == "ok"
    assert version in found.detail


def test_a_topic_that_may_not_be_written_is_named(folder: Path) -> None:
    with with_rights(folder, "topic read roomtone/#\ntopic write roomtone/kitchen/event\n") as broker:
        found = check(broker)
    assert found.state == "fail"
    assert "roomtone/kitchen/availability" in found.detail + found.remedy


def test_what_it_leaves_there_is_true(folder: Path) -> None:
    with Broker(OPEN, folder=folder) as broker:
        check(broker)
        assert retained(broker) == "offline"
        check(broker, runs=True)
        assert retained(broker) == "online"


@pytest.mark.parametrize(
    ("line", "lacks"),
    [("retain_available false", "retained"), ("max_packet_size 2000", "2000"), ("max_qos 0", "QoS 1")],
)
def test_what_the_broker_cannot_do_is_named(folder: Path, line: str, lacks: str) -> None:
    with Broker(f"{OPEN}{line}\n", folder=folder) as broker:
        found = check(broker)
    assert found.state == "warn"
    assert lacks in found.detail


@pytest.mark.parametrize(
    ("limit", "version"), [("message_size_limit 1500", "5"), ("max_packet_size 1500", "3.1.1")]
)
def test_a_limit_that_the_broker_does_not_announce_is_found(folder: Path, limit: str, version: str) -> None:
    with Broker(f"{OPEN}{limit}\n", folder=folder) as broker:
        found = check(broker, version=version)
        assert (found.state, "messages over" in found.detail) == ("warn", True)
        assert check(broker, version=version, discovery=False).state == "ok"


def test_a_refusal_names_user_and_password(folder: Path) -> None:
    with Broker(f"{HEAD}allow_anonymous false\n", folder=folder) as broker:
        found = check(broker)
    assert found.state == "fail"
    assert "mqtt.password_file" in found.detail + found.remedy


def test_without_rights_it_says_sudo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = folder / "password"
    secret.write_text("x")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(secret))
    with Broker(OPEN, folder=folder) as broker:
        found = check(broker, username="ann", password_file=str(secret))
    assert found.state == "fail"
    assert "sudo" in found.remedy
