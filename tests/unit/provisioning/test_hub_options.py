"""`roomtone hub run` says what is wrong with its options before it looks at ports, and makes nothing then."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.main import main
from provisioning.hub import serve


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port of another hub."""
    monkeypatch.setattr(serve, "find_server", lambda _: "/usr/sbin/mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


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
    tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str
) -> None:
    (tmp_path / "file").touch()
    names = {"TAKEN": taken, "FILE": str(tmp_path / "file")}
    given = [names.get(word, word) for word in words]
    assert main(["hub", "run", "--dir", str(tmp_path / "hub"), "--mqtt-port", taken, *given]) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "is in use" not in said
    assert not (tmp_path / "hub").exists()


def test_right_options_and_a_port_in_use_are_refused_with_the_option_for_another_one(
    tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hub", "run", "--dir", str(tmp_path / "hub"), "--mqtt-port", taken, "--host", "hub"]) == 2
    assert f"port {taken} is in use" in capsys.readouterr().err
    assert not (tmp_path / "hub").exists()
