"""The first password in a frame, once; a QR code for the camera of a phone."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("segno", reason="segno is installed with roomtone[fleet]")
from provisioning.hub.welcome import FirstPassword, qr_code

LINES = (
    "first start: log in as `operator` with the password abcde-fghij-klmno-pqrst",
    "It is shown only once. To set another: roomtone hub user passwd operator --database sqlite:////hub/roomtone.db",
)


def test_the_password_is_taken_out_of_the_log_and_shown_once_in_a_frame():
    password = FirstPassword()
    assert all(password.take(line) for line in LINES)
    assert not password.take("WARNING dashboard: something else")
    frame = password.framed("https://hub.local:8443/").splitlines()
    assert len({len(line) for line in frame}) == 1
    assert any("`operator` with the password abcde-fghij-klmno-pqrst" in line for line in frame)
    assert any("https://hub.local:8443/" in line for line in frame)
    assert any("passwd operator --database sqlite:////hub/roomtone.db" in line for line in frame)
    assert password.framed("https://hub.local:8443/") == ""


def test_a_terminal_that_cannot_draw_gets_no_code():
    assert "▀" in qr_code("https://hub.local:8443/phone", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert qr_code("x", io.TextIOWrapper(io.BytesIO(), encoding="ascii")) == ""
