"""The health as Prometheus reads it: `GET /metrics` on the loopback interface, off unless a port is configured.

Text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Nothing of what was said is in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from edge.protocol.messages import EarHealth, Health, MicState
from edge.util import timestamps
from edge.util.errors import UserError

HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 5.0
_COUNTERS: Final = {"drops", "reconnects", "rejected", "frames", "overruns", "utterances", "dropped"}


async def serve(port: int, read: Callable[[], str]) -> asyncio.Server:
    """Answers with what `read` returns. Raises `UserError` when the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError
        ):
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            known = request.startswith((b"GET /metrics ", b"GET /metrics?"))
            body = read().encode() if known else b"only /metrics is here\n"
            head = (
                f"HTTP/1.1 {'200 OK' if known else '404 Not Found'}\r\n"
                "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await asyncio.wait_for(writer.drain(), PATIENCE_S)
        writer.close()

    try:
        return await asyncio.start_server(answer, HOST, port, limit=8192)
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}; choose another `runtime.metrics_port`") from None


def text(node: str, health: Health, mic: MicState, connected: bool) -> str:
    """All figures as lines of the text format."""
    figures = [
        ("broker_connected", float(connected)),
        ("clock_synced", float(health.clock == "synced")),
        ("microphone_ok", float(mic == "ok")),
        *_certificate(health),
        *_figures("", health),
        *(_figures("ear_", health.ear) if health.ear else ()),
    ]
    lines = []
    for name, value in figures:
        full, kind = f"roomtone_{name}", "gauge"
        if name.removeprefix("ear_") in _COUNTERS:
            full, kind = f"{full}_total", "counter"
        lines += [f"# TYPE {full} {kind}", f'{full}{{node="{node}"}} {value:.15g}']
    return "\n".join(lines) + "\n"


def _certificate(health: Health) -> Iterator[tuple[str, float]]:
    """Its end in Unix time, as Prometheus wants points in time; nothing without a certificate."""
    if health.certificate_expires is not None:
        ends = timestamps.parse(health.certificate_expires)
        yield "certificate_expires_timestamp_seconds", ends.timestamp()


def _figures(prefix: str, source: Health | EarHealth) -> Iterator[tuple[str, float]]:
    for name, value in msgspec.structs.asdict(source).items():
        if isinstance(value, int | float):
            yield prefix + name, float(value)
