"""Whether a broker sends retained messages to subscriptions with a wildcard: asked without a trace, and never guessed.

A broker that does not is in test_other_brokers.py (RabbitMQ).
"""

from __future__ import annotations

import threading
import time

import pytest

from edge.mqtt import retained_probe
from edge.mqtt.address import BrokerAddress
from edge.mqtt.events import CapabilitiesChanged, Connected, Message
from edge.mqtt.reason_codes import Identity
from edge.mqtt.retained_probe import at_wildcards
from edge.mqtt.session import Subscription
from tests.support.broker import Broker, refusing_subscriptions
from tests.support.waiting import until

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])
TOPIC = "base/fleet/probe/one"
OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\n"


def ask(broker, version):
    return at_wildcards(Identity(BrokerAddress(broker.host, broker.port), "one"), version, TOPIC)


@VERSIONS
def test_a_broker_that_has_them_is_asked_without_a_trace(broker, connect, version):
    watcher = connect(broker, "watcher", Subscription("#"))
    assert ask(broker, version) is True
    probes = {f"{TOPIC}/retained/exact", f"{TOPIC}/retained/wildcard"}
    until(lambda: [m.topic for m in watcher.of(Message) if not m.payload].count(f"{TOPIC}/retained/exact"))
    assert {message.topic for message in watcher.of(Message)} == probes
    late = connect(broker, "late", Subscription("#"), Subscription(f"{TOPIC}/retained/exact"))
    time.sleep(0.5)
    assert late.of(Message) == []


@VERSIONS
@pytest.mark.parametrize(
    "rights",
    ["topic read #", "topic write #", "topic write #\ntopic read base/fleet/probe/one/retained/wildcard"],
    ids=["reads only", "writes only", "no control"],
)
def test_without_the_rights_nothing_is_known(tmp_path, monkeypatch, version, rights):
    monkeypatch.setattr(retained_probe, "CONTROL_S", 2.0)
    tmp_path.chmod(0o755)
    (tmp_path / "acl").write_text(rights + "\n")
    (tmp_path / "acl").chmod(0o644)
    with Broker(OPEN + "acl_file {folder}/acl\n", folder=tmp_path) as broker:
        assert ask(broker, version) is None


@VERSIONS
@pytest.mark.parametrize("refused", ["+/wildcard", "retained/exact"])
def test_a_subscription_that_is_refused_says_nothing_of_retained_messages(
    tmp_path, monkeypatch, version, refused
):
    monkeypatch.setattr(retained_probe, "CONTROL_S", 3.0)
    monkeypatch.setattr(retained_probe, "GRACE_S", 1.0)
    with Broker(refusing_subscriptions(tmp_path, f"{TOPIC}/{refused}"), folder=tmp_path) as broker:
        assert ask(broker, version) is None


def test_a_broker_that_goes_away_meanwhile_is_not_judged(broker, monkeypatch):
    monkeypatch.setattr(retained_probe, "CONTROL_S", 2.0)
    broker.stop()
    assert ask(broker, "5") is None


def test_a_program_that_ends_does_not_wait_for_it(broker):
    stopping = threading.Event()
    stopping.set()
    assert (
        at_wildcards(Identity(BrokerAddress(broker.host, broker.port), "one"), "5", TOPIC, stopping) is None
    )


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(retained_probe, "DELAY_S", (0.0, 0.1))


def test_a_client_asks_once(broker, connect, soon):
    one = connect(broker, "one", Subscription("t/#"), probe_topic=TOPIC)
    until(lambda: "as one-probe-reader" in broker.log)
    until(lambda: "mqtt-probes" not in {thread.name for thread in threading.enumerate()})
    broker.kill()
    broker.start()
    until(lambda: len(one.of(Connected)) == 2)
    time.sleep(1)
    assert broker.log.count("as one-probe-reader") == 1
    assert one.of(CapabilitiesChanged) == []
    assert one.client.capabilities.missing() == ""


def test_what_is_found_is_reported_logged_and_asked_again_after_the_next_connection(
    broker, connect, soon, monkeypatch, caplog
):
    answers = iter([False, True])
    monkeypatch.setattr(retained_probe, "at_wildcards", lambda *_: next(answers))
    one = connect(broker, "one", Subscription("t/#"), probe_topic=TOPIC)
    until(lambda: one.of(CapabilitiesChanged))
    assert "wildcard" in one.of(CapabilitiesChanged)[0].capabilities.missing()
    assert caplog.text.count("[broker_lacks]") == 1
    broker.kill()
    broker.start()
    until(lambda: len(one.of(Connected)) == 2)
    assert "wildcard" in one.of(Connected)[1].capabilities.missing()
    until(lambda: len(one.of(CapabilitiesChanged)) == 2)
    assert one.client.capabilities.missing() == ""


def test_with_a_certificate_it_is_not_asked(broker, soon):
    address = BrokerAddress(broker.host, broker.port, cert_file="client.crt")
    asked = retained_probe.BackgroundProbe(TOPIC, lambda _: None)
    asked.start(Identity(address, "one"), "5", Connected(False, "5").capabilities)
    time.sleep(0.5)
    assert "one-probe" not in broker.log
