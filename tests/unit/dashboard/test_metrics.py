import pytest

pytest.importorskip("fastapi", reason="fastapi is installed with roomtone[dashboard]")

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboard.api.metrics import DatabaseFigures, HubMetrics
from dashboard.live.decode import Incoming
from dashboard.live.feed import Feed, PageSubscription
from edge.mqtt.address import BrokerAddress
from edge.protocol import Info
from tests.support.messages import event_of

NOW = 1_770_000_000.0


@pytest.fixture
def feed():
    made = Feed(BrokerAddress("localhost", 1883), "roomtone")
    for node, leaf, message in (
        ("kitchen", "availability", "online"),
        ("kitchen", "mic", "muted"),
        ("kitchen", "event", event_of("happy", NOW)),
        ("hall", "info", Info(node="hall", name="Hall", version="1")),
        ("hall", "availability", "offline"),
        ("attic", "info", Info(node="attic", name="Attic", version="1")),
        ("attic", "mic", "ok"),
        ("unknown", "availability", "online"),
        ("unknown", "mic", "ok"),
    ):
        made.registry.apply(Incoming(node, leaf, message), NOW)
    made.registry.rejected = 3
    made.subscribe(PageSubscription())
    return made


def text_of(feed, figures=None):
    registry = CollectorRegistry()
    registry.register(HubMetrics(feed, figures))
    return generate_latest(registry).decode()


def values_of(text):
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in samples}


def test_live_figures(feed):
    values = values_of(text_of(feed))
    assert values["roomtone_hub_broker_connected",] == 0
    assert values["roomtone_hub_events_total",] == 1
    assert values["roomtone_hub_rejected_messages_total",] == 3
    assert values["roomtone_hub_open_pages",] == 1
    devices = {key[1]: value for key, value in values.items() if key[0] == "roomtone_hub_devices"}
    assert devices == {"online": 1, "offline": 1, "unknown": 1}
    microphones = {key[1]: value for key, value in values.items() if key[0] == "roomtone_hub_microphones"}
    assert microphones == {"starting": 0, "ok": 1, "lost": 0, "muted": 1, "unknown": 1}
    assert not [key for key in values if key[0] in ("roomtone_hub_lost_events", "roomtone_hub_active_alerts")]


def test_figures_of_the_database(feed):
    values = values_of(text_of(feed, DatabaseFigures({"kitchen": 12, "cellar": 1}, {"kitchen": 4}, 2, 0.999)))
    assert values["roomtone_hub_lost_events", "kitchen"] == 12
    assert values["roomtone_hub_lost_events", "cellar"] == 1
    last_hour = {k[1]: v for k, v in values.items() if k[0] == "roomtone_hub_lost_events_last_hour"}
    assert last_hour == {"kitchen": 4, "hall": 0, "attic": 0}, "a room without a loss is 0, not absent"
    assert values["roomtone_hub_active_alerts",] == 2
    assert values["roomtone_hub_reachability_ratio",] == 0.999
    assert ("roomtone_hub_reachability_ratio",) not in values_of(
        text_of(feed, DatabaseFigures({}, {}, 0, None))
    )
