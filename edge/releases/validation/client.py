"""Requests validation from its service on a device, or from a child process elsewhere, and survives its crashes."""

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

from edge.releases.validation.messages import MAX_LINE, ValidationRequest, Verdict

TIMEOUT_S: Final = 180.0


class ValidationResult(Struct, frozen=True):
    """The verdict; None where the process ended without one, and then `failure` says how."""

    verdict: Verdict | None
    failure: str = ""
    reached: bool = True
    """False: validation could not be started, so the model is not at fault."""


def validate(
    request: ValidationRequest, service: Path | None, timeout_s: float = TIMEOUT_S
) -> ValidationResult:
    """Have a bundle validated by the service at a Unix socket, or by a child process where there is no such socket.

    Raises nothing; an invalid answer counts as none.
    """
    data = msgspec.json.encode(request) + b"\n"
    try:
        if service is not None and service.is_socket():
            return _parse(*_from_service(data, service, timeout_s))
        return _parse(*_from_child(data, timeout_s))
    except OSError as error:
        return ValidationResult(None, f"validation cannot be started: {error}", reached=False)


def _parse(data: bytes, how: str) -> ValidationResult:
    try:
        return ValidationResult(msgspec.json.decode(data, type=Verdict))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ValidationResult(None, how)


def _from_service(data: bytes, path: Path, timeout_s: float) -> tuple[bytes, str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(10.0)
        channel.connect(str(path))
        channel.sendall(data)
        found, deadline = b"", time.monotonic() + timeout_s
        with contextlib.suppress(TimeoutError, ConnectionError):
            while len(found) <= MAX_LINE and not found.endswith(b"\n"):
                channel.settimeout(max(0.01, deadline - time.monotonic()))
                part = channel.recv(MAX_LINE)
                if not part:
                    break
                found += part
    late = time.monotonic() >= deadline
    return (
        found,
        f"validation gave no verdict in {timeout_s:.0f} s" if late else "validation crashed with this model",
    )


def _from_child(data: bytes, timeout_s: float) -> tuple[bytes, str]:
    # The child inherits no environment with secrets and no open files.
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
        ready, _, _ = select.select([child.stdout], [], [], timeout_s)
        found = child.stdout.readline(MAX_LINE) if ready else b""
        if not ready:
            return b"", f"validation gave no verdict in {timeout_s:.0f} s"
        status = child.wait(10.0)
    except subprocess.TimeoutExpired:
        return b"", "validation does not end"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return found, f"validation crashed with this model ({how})"
