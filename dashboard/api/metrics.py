"""Metrics of the hub for Prometheus: `GET /metrics`, with the same login as the API."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.api.common import Services, run_query
from dashboard.live.feed import Feed
from dashboard.values import now_ms
from edge.protocol import Availability, MicState
from edge.util.prometheus import render
from edge.util.version import VERSION

WEEK_MS: Final = 7 * 86_400_000
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class DatabaseFigures:
    """Numbers for the metrics that are read from the database."""

    lost_events: dict[str, int]
    """Events lost in the last week, by node."""
    lost_last_hour: dict[str, int]
    """Events found to be lost in the last hour, by node."""
    active_alerts: int
    reachability: float | None


class HubMetrics(Collector):
    """A Prometheus collector of the live state and, with a database, of the figures that were read before."""

    def __init__(self, feed: Feed, figures: DatabaseFigures | None) -> None:
        self._feed = feed
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics of the hub."""
        feed, rooms = self._feed, self._feed.registry.rooms.values()
        yield InfoMetricFamily("roomtone_hub", "Version of the hub.", value={"version": VERSION})
        connected = feed.broker.connection.state == "connected"
        yield _gauge("broker_connected", "Whether the dashboard is connected to the broker.", connected)
        yield _gauge("open_pages", "Pages open in browsers.", feed.open_pages)
        yield _counter("events", "Events received since the start.", feed.registry.arrived)
        yield _counter("rejected_messages", "Messages rejected since the start.", feed.rejected)
        availability = Counter(room.availability for room in rooms)
        yield _by_label(
            "devices", "Devices by availability.", "availability", get_args(Availability), availability
        )
        microphones = Counter(room.mic for room in rooms)
        yield _by_label("microphones", "Microphones by state.", "state", get_args(MicState), microphones)
        if self._figures is not None:
            yield from self._from_database(self._figures)

    def _from_database(self, figures: DatabaseFigures) -> Iterator[Metric]:
        for name, text, counts in (
            ("lost_events", "Events lost in the last seven days.", figures.lost_events),
            # A sum over a window falls when a loss leaves it: alerts cannot be computed from that of a week.
            ("lost_events_last_hour", "Events found to be lost in the last hour.", figures.lost_last_hour),
        ):
            lost = GaugeMetricFamily(f"roomtone_hub_{name}", text, labels=["node"])
            for node in sorted(self._feed.registry.rooms.keys() | counts.keys()):
                lost.add_metric([node], counts.get(node, 0))
            yield lost
        yield _gauge("active_alerts", "Alerts that are on.", figures.active_alerts)
        if figures.reachability is not None:
            text = "Share of the last 30 days in which the hub was reachable."
            yield _gauge("reachability_ratio", text, figures.reachability)


def router(services: Services) -> APIRouter:
    """Return the route of the Prometheus metrics."""
    routes = APIRouter(tags=["metrics"])
    process = ProcessCollector(registry=None)

    @routes.head("/metrics", response_class=Response, include_in_schema=False)
    @routes.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return the metrics in the text format of Prometheus, or as OpenMetrics if accepted."""
        registry = CollectorRegistry()
        registry.register(process)
        registry.register(HubMetrics(services.feed, await _read_figures(services)))
        body, content_type = render(registry, request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    return routes


async def _read_figures(services: Services) -> DatabaseFigures | None:
    if services.records is None or services.rules is None or services.reachability is None:
        return None
    lost = await run_query(services.records.lost_events, now_ms() - WEEK_MS)
    last_hour = await run_query(services.records.lost_events, now_ms() - HOUR_MS)
    active = await run_query(services.rules.count_active)
    reachability = await run_query(services.reachability.share, time.time())
    return DatabaseFigures(lost, last_hour, active, reachability["share"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"roomtone_hub_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"roomtone_hub_{name}", text, value=float(value))


def _by_label(name: str, text: str, label: str, values: tuple[str, ...], counts: Counter[str]) -> Metric:
    metric = GaugeMetricFamily(f"roomtone_hub_{name}", text, labels=[label])
    for value in values:
        metric.add_metric([value], counts[value])
    metric.add_metric(["unknown"], counts[""])
    return metric
