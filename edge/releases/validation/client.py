"""The way to the gate: a service of its own on a device, a child process elsewhere. Whatever it does, we live on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.releases.validation.messages import MAX_LINE, Ask, Verdict

PATIENCE_S: Final = 180.0


class Answer(Struct, frozen=True):
    """`verdict` is None where the gate gave none: `died` says how."""

    verdict: Verdict | None
    died: str = ""
    reached: bool = True
    """False: the gate never saw the model, which is not to blame then."""


def ask(question: Ask, gate_socket: Path | None, patience_s: float = PATIENCE_S) -> Answer:
    """Asks the gate behind the socket, or one of our own where there is none.

    Never raises; an answer that makes no sense counts as none.
    """
    data = msgspec.json.encode(question) + b"\n"
    try:
        if gate_socket is not None and gate_socket.is_socket():
            return _read(*_of_service(data, gate_socket, patience_s))
        return _read(*_of_child(data, patience_s))
    except OSError as error:
        return Answer(None, f"the gate cannot be reached: {error}", reached=False)


def _read(data: bytes, how: str) -> Answer:
    try:
        return Answer(msgspec.json.decode(data, type=Verdict))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Answer(None, how)


def _of_service(data: bytes, path: Path, patience_s: float) -> tuple[bytes, str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(10.0)
        channel.connect(str(path))
        channel.sendall(data)
        found, deadline = b"", time.monotonic() + patience_s
        with contextlib.suppress(TimeoutError, ConnectionError):
            while len(found) <= MAX_LINE and not found.endswith(b"\n"):
                channel.settimeout(max(0.01, deadline - time.monotonic()))
                part = channel.recv(MAX_LINE)
                if not part:
                    break
                found += part
    late = time.monotonic() >= deadline
    return found, f"the gate gave no answer in {patience_s:.0f} s" if late else "the gate died of this model"


def _of_child(data: bytes, patience_s: float) -> tuple[bytes, str]:
    # Nothing of ours goes along: no environment with secrets, no open files.
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "VIRTUAL_ENV") if key in os.environ}
    child = subprocess.Popen(
        [sys.executable, "-m", "edge.releases.validation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**kept, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(data)
            child.stdin.close()
        ready, _, _ = select.select([child.stdout], [], [], patience_s)
        found = child.stdout.readline(MAX_LINE) if ready else b""
        if not ready:
            return b"", f"the gate gave no answer in {patience_s:.0f} s"
        status = child.wait(10.0)
    except subprocess.TimeoutExpired:
        return b"", "the gate does not end"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return found, f"the gate died of this model ({how})"
