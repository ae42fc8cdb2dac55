"""What strangers can send: each target takes any bytes and fails on anything but a clean yes or no.

Used by hypothesis (tests/unit/link/test_fuzz.py) and by atheris (`./run fuzz`).
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from edge import protocol
from edge.config.load import ConfigError, load
from edge.config.settings import Config
from edge.link.commands import Commands, ok
from edge.link.ipc.intake import Intake
from edge.link.ipc.listener import listen
from edge.protocol import Response

KNOWN = ("mute", "restart", "replay")


class _Nobody:
    """No message of the fuzzer may reach this unless it is checked first."""

    def on_ear_connected(self) -> None: ...

    def on_ear_disconnected(self) -> None: ...

    def on_ear_message(self, message: protocol.EarMessage) -> None: ...


_folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=os.environ.get("FUZZ_FOLDER")))
atexit.register(shutil.rmtree, _folder, True)
_intakes: list[Intake] = []


def _intake() -> Intake:
    if not _intakes:
        _intakes.append(Intake(listen(_folder / "s").socket, _Nobody(), asyncio.new_event_loop()))
    return _intakes[0]


def intake(data: bytes) -> None:
    """One message on the socket of the ear."""
    own = _intake()
    before = own.rejected
    message = own._check(data, 0)
    assert (message is None) == (own.rejected == before + 1)
    if message is not None:
        again = protocol.encode(message)
        assert protocol.decode_ear_message(again) == message
        assert len(data) <= protocol.MAX_REPORT_BYTES
        assert b"NaN" not in again and b"Infinity" not in again


def command(data: bytes, verb: str = "mute", retain: bool = False, queued: bool = False) -> None:
    """One command of a subscriber; `data` its payload."""
    acted, answered = [], []

    def act(one, reply):
        acted.append(one)
        reply(ok(one))

    commands = Commands(dict.fromkeys(KNOWN, act), lambda v, r: answered.append((v, r)), lambda: True)
    commands.handle(verb, data, retain, queued)
    assert len(acted) <= 1
    assert len(answered) <= 1
    if retain:
        assert not acted
        assert not answered
    for one in acted:
        assert answered == [(verb, Response(transaction=one.transaction, ok=True))]
        assert json.loads(data)["transaction"] == one.transaction
        assert verb in KNOWN
    for _, response in answered:
        assert len(response.error) < 500
        assert response.error.isprintable()


def configuration(data: bytes) -> None:
    """A configuration file."""
    path = _folder / "room.toml"
    path.write_bytes(data)
    try:
        config = load(path)
    except ConfigError as error:
        assert str(path) in str(error)
        return
    assert len(config.sha256()) == 64
    assert msgspec.convert(msgspec.to_builtins(config), Config) == config


TARGETS = {"intake": intake, "command": command, "configuration": configuration}
