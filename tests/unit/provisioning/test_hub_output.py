"""Which lines of its programs `roomtone hub run` prints."""

from __future__ import annotations

import io
import sys

import pytest

from provisioning.hub import broker
from provisioning.hub.serve import needs_attention


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("broker", "1795674111: Error: Unable to open CRL file."),
        ("broker", "1795674111: Warning: Mosquitto should not be run as root."),
        ("broker", "[broker_restart] its files have changed"),
        ("recorder", "WARNING recorder: [gap] 3 events of kitchen are lost"),
        ("dashboard", "first start: log in as `operator` with the password x"),
        ("dashboard", "Traceback (most recent call last):"),
        ("proxy", '{"level":"error","msg":"listener closed"}'),
        ("proxy", "Error: adapting config"),
        ("proxy", '{"level":"error","ts":1.5,"msg":"unable to write","error":"unable to clean up lock"}'),
    ],
)
def test_what_needs_attention_is_printed(name: str, line: str) -> None:
    assert needs_attention(name, line)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("broker", "ready"),
        ("broker", "1795674111: New connection from 127.0.0.1:51408 on port 8883."),
        ("broker", "1795674111: OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed"),
        ("broker", "1795674111: operator.dashboard 1 roomtone/+/mic"),
        ("recorder", "INFO recorder: [connected] MQTT 5 to mqtts://127.0.0.1:8883"),
        ("dashboard", "ready http://127.0.0.1:8080/"),
        ("dashboard", ""),
        ("proxy", '{"level":"info","msg":"serving initial configuration"}'),
        (
            "proxy",
            '{"level":"error","ts":1.5,"msg":"unable to clean up lock","lock":"x","error":"no such file"}',
        ),
    ],
)
def test_routine_is_not_printed(name: str, line: str) -> None:
    assert not needs_attention(name, line)


def test_a_line_beside_those_of_mosquitto_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Writes(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            written.append(bytes(data))  # type: ignore[call-overload]
            return len(written[-1])

    written: list[bytes] = []
    # As with PYTHONUNBUFFERED: nothing is kept back.
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(Writes(), write_through=True))  # type: ignore[type-var]
    broker.print_line("ready")
    assert written == [b"ready\n"]
