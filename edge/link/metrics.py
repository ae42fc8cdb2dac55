"""Metrics of the device for Prometheus: `GET /metrics` on the loopback interface, off unless a port is configured.

The metrics are created from the health message at each request. They contain nothing of what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, StateSetMetricFamily
from prometheus_client.registry import Collector

from edge.protocol import EarHealth, Health, MicState
from edge.util.errors import UserError, reason
from edge.util.prometheus import render

HOST: Final = "127.0.0.1"
REQUEST_TIMEOUT_S: Final = 5.0
MEGABYTE: Final = 1_000_000


class DeviceMetrics(Collector):
    """Collects the metrics of one device from its current state."""

    def __init__(self, node: str, health: Health, mic: MicState, connected: bool) -> None:
        self._node = node
        self._health = health
        self._mic = mic
        self._connected = connected

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those that are not known yet are left out."""
        health = self._health
        yield self._gauge("broker_connected", "Whether the link is connected to the broker.", self._connected)
        yield self._gauge("clock_synced", "Whether the clock is synchronised.", health.clock == "synced")
        states = {state: state == self._mic for state in get_args(MicState)}
        microphone = StateSetMetricFamily("roomtone_microphone", "State of the microphone.", labels=["node"])
        microphone.add_metric([self._node], states)
        yield microphone
        if health.certificate_expires is not None:
            expires = datetime.fromisoformat(health.certificate_expires).timestamp()
            name = "certificate_expiry_timestamp_seconds"
            yield self._gauge(name, "When the client certificate expires, in seconds since 1970.", expires)
        if health.temperature_c is not None:
            yield self._gauge("temperature_celsius", "Temperature of the processor.", health.temperature_c)
        yield self._gauge("uptime_seconds", "Time since the link was started.", health.uptime_s)
        yield self._gauge("spool_events", "Events waiting for the broker.", health.spool)
        yield self._gauge("link_resident_memory_bytes", "Memory of the link.", health.link_rss_mb * MEGABYTE)
        yield self._counter("dropped_events", "Events dropped by the link.", health.drops)
        yield self._counter(
            "broker_reconnects", "Connections to the broker after the first.", health.reconnects
        )
        yield self._counter("rejected_messages", "Invalid messages from the ear.", health.rejected)
        if health.ear is not None:
            yield from self._ear(health.ear)

    def _ear(self, ear: EarHealth) -> Iterator[Metric]:
        yield self._counter("ear_frames", "Frames of audio processed.", ear.frames)
        yield self._counter(
            "ear_overruns", "Times that audio was lost because the ear was late.", ear.overruns
        )
        yield self._counter("ear_utterances", "Utterances classified.", ear.utterances)
        yield self._counter(
            "ear_dropped_events", "Events dropped by the ear because no link took them.", ear.dropped
        )
        yield self._gauge("ear_resident_memory_bytes", "Memory of the ear.", ear.rss_mb * MEGABYTE)
        for percentile, value in (("median", ear.inference_p50_ms), ("p95", ear.inference_p95_ms)):
            name = f"ear_inference_{percentile}_seconds"
            yield self._gauge(name, f"Duration of recent inferences ({percentile}).", value / 1000)
        if ear.level_dbfs is not None:
            yield self._gauge("ear_level_dbfs", "Level of the room in dB of full scale.", ear.level_dbfs)
        if ear.baseline_utterances is not None:
            yield self._gauge(
                "ear_baseline_utterances", "Utterances in the baseline.", ear.baseline_utterances
            )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        metric = GaugeMetricFamily(f"roomtone_{name}", text, labels=["node"])
        metric.add_metric([self._node], float(value))
        return metric

    def _counter(self, name: str, text: str, value: float) -> Metric:
        metric = CounterMetricFamily(f"roomtone_{name}", text, labels=["node"])
        metric.add_metric([self._node], float(value))
        return metric


async def serve(port: int, collect: Callable[[], Collector]) -> asyncio.Server:
    """Answer `GET /metrics` with the metrics of `collect()`. Raises `UserError` if the port is in use."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT_S)
            writer.write(_response(request.decode("latin-1"), collect))
            await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT_S)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, HOST, port, limit=8192)
    except OSError as error:
        raise UserError(f"port {port}: {reason(error)}; choose another `runtime.metrics_port`") from None


def _response(request: str, collect: Callable[[], Collector]) -> bytes:
    line, *fields = request.split("\r\n")
    method, _, rest = line.partition(" ")
    if method not in ("GET", "HEAD") or rest.partition(" ")[0].partition("?")[0] != "/metrics":
        return _with_head("404 Not Found", "text/plain; charset=utf-8", b"only GET /metrics is served\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    registry = CollectorRegistry()
    registry.register(collect())
    body, content_type = render(registry, headers.get("accept", ""))
    return _with_head("200 OK", content_type, body, head_only=method == "HEAD")


def _with_head(status: str, content_type: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)
