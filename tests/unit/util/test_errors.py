"""Reasons in words for every error of the system, and the limits that are counted in bytes."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from edge.config.load import ConfigError, load
from edge.link.ipc.listener import listen
from edge.util.errors import UserError, reason


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        OSError("AF_UNIX path too long"),
        TimeoutError(),
        ssl.SSLError(),
        socket.gaierror(-2, "unknown"),
    ],
)
def test_a_reason_is_never_none_and_never_empty(error: OSError) -> None:
    assert reason(error) not in ("", "None")


def test_the_path_of_a_socket_is_counted_in_bytes() -> None:
    assert load(None, {"runtime.socket": "/run/" + "a" * 102}).runtime.socket
    for key in ("runtime.socket", "updates.service_socket", "updates.validation_socket"):
        for path in ("/run/" + "a" * 103, "/run/" + "ü" * 52, "/run/" + "\U0001f3e0" * 26):
            with pytest.raises(ConfigError, match=rf"`{key}`.* bytes"):
                load(None, {key: path})
        assert load(None, {key: "/run/" + "ü" * 51})


def test_a_socket_that_cannot_be_made_is_refused_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 110)
    folder.mkdir()
    with pytest.raises(UserError, match=r"too long.*runtime\.socket") as raised:
        listen(folder / "s")
    assert "None" not in str(raised.value)
