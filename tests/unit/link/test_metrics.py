from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="prometheus-client is installed with roomtone[edge]")

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from edge.link.metrics import DeviceMetrics, _response
from edge.protocol import EarHealth, Health

EAR = EarHealth(
    frames=7, overruns=1, utterances=2, inference_p50_ms=12, inference_p95_ms=25, rss_mb=90.5, dropped=3,
    baseline_utterances=40, level_dbfs=-42.5,
)  # fmt: skip
HEALTH = Health(
    clock="synced", uptime_s=60, spool=4, drops=5, reconnects=6, rejected=8, link_rss_mb=30.0,
    temperature_c=51.5, certificate_expires="2027-01-31T10:00:00Z", ear=EAR,
)  # fmt: skip


@dataclass
class Scraped:
    text: str
    values: dict[Any, float]


def scraped(health: Health = HEALTH, mic: str = "ok", connected: bool = True) -> Scraped:
    registry = CollectorRegistry()
    registry.register(DeviceMetrics("kitchen", health, mic, connected))
    text = generate_latest(registry).decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels["node"] for s in samples} == {"kitchen"}
    return Scraped(text, {(s.name, s.labels.get(s.name, "")): s.value for s in samples})


def test_values_are_in_base_units():
    values = scraped().values
    assert values["roomtone_ear_inference_p95_seconds", ""] == 0.025
    assert values["roomtone_ear_resident_memory_bytes", ""] == 90_500_000
    assert values["roomtone_link_resident_memory_bytes", ""] == 30_000_000
    assert values["roomtone_certificate_expiry_timestamp_seconds", ""] == 1_801_389_600
    assert values["roomtone_temperature_celsius", ""] == 51.5


@pytest.mark.parametrize("mic", ["starting", "ok", "lost", "muted"])
def test_the_microphone_has_exactly_one_state(mic):
    values = scraped(mic=mic).values
    states = {state: value for (name, state), value in values.items() if name == "roomtone_microphone"}
    assert states == {state: float(state == mic) for state in ("starting", "ok", "lost", "muted")}


def test_what_is_not_known_is_left_out():
    known = Health(clock="unsynced", uptime_s=1, spool=0, drops=0, reconnects=0, rejected=0, link_rss_mb=1.0)
    values = scraped(known, connected=False).values
    assert values["roomtone_clock_synced", ""] == values["roomtone_broker_connected", ""] == 0
    assert not [
        name for name, _ in values if "ear_" in name or "temperature" in name or "certificate" in name
    ]


def test_each_field_of_the_health_message_is_a_metric():
    """A new field has to be given a metric: every number of the message appears among the values."""
    numbers = {5.0, 6.0, 8.0, 4.0, 60.0, 7.0, 1.0, 2.0, 3.0, 40.0, -42.5, 0.012, 0.025}
    assert numbers <= set(scraped().values.values())
    fields = len(Health.__struct_fields__) - 1 + len(EarHealth.__struct_fields__)
    names = {name for name, _ in scraped().values}
    assert len(names) == fields + 2  # and the connection, and the microphone


def test_the_format_follows_the_accept_header():
    def collect():
        return DeviceMetrics("kitchen", HEALTH, "ok", True)

    head, _, body = _response("GET /metrics HTTP/1.1\r\n\r\n", collect).partition(b"\r\n\r\n")
    assert b"200 OK" in head and b"text/plain; version=0.0.4" in head
    assert f"Content-Length: {len(body)}".encode() in head
    wanted = "GET /metrics?x=1 HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n"
    head, _, body = _response(wanted, collect).partition(b"\r\n\r\n")
    assert b"application/openmetrics-text" in head
    assert body.endswith(b"# EOF\n")
    for odd in ("text/plain; version=x.y", "application/openmetrics-text; version=", "\xff;;=,", "*/*"):
        head = _response(f"GET /metrics HTTP/1.1\r\nAccept: {odd}\r\n\r\n", collect)
        assert head.startswith(b"HTTP/1.1 200"), odd
    for other in ("GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n"):
        assert _response(other, collect).startswith(b"HTTP/1.1 404")


def test_openmetrics_marks_the_microphone_as_a_state_set():
    registry = CollectorRegistry()
    registry.register(DeviceMetrics("kitchen", HEALTH, "ok", True))
    assert b"# TYPE roomtone_microphone stateset" in openmetrics(registry)


@pytest.mark.parametrize("url", ["//[x", "/", "/metrics/", "http://[/metrics"])
def test_any_other_address_is_answered_with_404(url):
    answer = _response(f"GET {url} HTTP/1.1\r\n\r\n", lambda: DeviceMetrics("kitchen", HEALTH, "ok", True))
    assert answer.startswith(b"HTTP/1.1 404")


def test_head_gets_what_get_does_without_the_body():
    def ask(method):
        request = f"{method} /metrics?x HTTP/1.1\r\n\r\n"
        return _response(request, lambda: DeviceMetrics("kitchen", HEALTH, "ok", True)).partition(b"\r\n\r\n")

    head, whole = ask("HEAD"), ask("GET")
    assert (head[0], head[2]) == (whole[0], b"")
    assert whole[2]
