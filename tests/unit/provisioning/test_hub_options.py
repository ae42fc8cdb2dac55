"""`roomtone hub run` says what is wrong with its options before it looks at ports, and makes nothing then.

`./run hub` does so before it installs anything.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.main import main
from provisioning import preflight
from provisioning.hub import run_options, serve
from tests.support.broker import free_port


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port of another hub."""
    monkeypatch.setattr(serve, "find_server", lambda _: "/usr/sbin/mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


COMMANDS = {
    "hub run": lambda *words: main(["hub", "run", *words]),
    "./run hub": lambda *words: preflight.main(["hub", *words]),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--host", "hub!"), "--host 'hub!': a host name or an address only"),
        (("--host", "hub.local, 192.168.1.10:8883/x"), "--host '192.168.1.10:8883/x'"),
        (("--https-port", "70000"), "--https-port 70000: from 1 to 65535"),
        (("--https-port", "0"), "--https-port 0: from 1 to 65535"),
        (("--https-port", "TAKEN"), "the broker has this port"),
        (("--dir", "FILE"), "is no folder"),
    ],
)
def test_options_come_before_ports(
    tmp_path: Path,
    taken: str,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: tuple[str, ...],
    text: str,
) -> None:
    (tmp_path / "file").touch()
    names = {"TAKEN": taken, "FILE": str(tmp_path / "file")}
    given = [names.get(word, word) for word in words]
    assert COMMANDS[command]("--dir", str(tmp_path / "hub"), "--mqtt-port", taken, *given) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "is in use" not in said
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--mqtt-port", "--https-port"])
def test_right_options_and_a_port_in_use_are_refused_with_the_option_for_another_one(
    tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str], command: str, option: str
) -> None:
    # A hub that runs on this machine has the usual ports.
    free = ["--mqtt-port", str(free_port()), "--https-port", str(free_port())]
    assert COMMANDS[command]("--dir", str(tmp_path / "hub"), *free, option, taken, "--host", "hub") == 2
    said = capsys.readouterr().err
    assert f"port {taken} is in use" in said
    assert option in said
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_only_root_may_open_is_refused(
    tmp_path: Path,
    taken: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setattr(run_options, "bind_error", lambda port, _: errno.EACCES if port == 443 else 0)
    monkeypatch.setattr(run_options, "find_server", lambda _: None)
    assert COMMANDS[command]("--dir", str(tmp_path / "hub"), "--https-port", "443") == 2
    said = capsys.readouterr().err
    assert "--https-port 443" in said
    assert run_options.FIRST_FREE.read_text().strip() in said
    assert not (tmp_path / "hub").exists()


def test_a_proxy_that_may_open_any_port_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_options, "bind_error", lambda port, _: errno.EACCES if port == 443 else 0)
    monkeypatch.setattr(run_options, "find_server", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.getxattr", lambda *_: b"cap_net_bind_service")
    assert preflight.main(["hub", "--https-port", "443", "--mqtt-port", "1"]) == 0


def test_a_port_in_use_on_one_address_of_this_machine_is_seen_by_a_hub_of_the_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        given = ["hub", "--mqtt-port", "1883", "--https-port", str(server.getsockname()[1])]
        assert preflight.main([*given, "--lan"]) == 2
    assert "is in use" in capsys.readouterr().err
