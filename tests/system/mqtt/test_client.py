"""The one MQTT client against a real broker."""

import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import Acknowledged, Connected, Disconnected, Message, State
from edge.mqtt.session import ClientOptions, Subscription, Will
from tests.support.broker import Broker, free_port
from tests.support.waiting import until

ALL = Subscription("t/#")
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


def publish(one, number, thread):
    """Publishes `number` messages and waits as `publish` asks for."""
    for index in range(number):
        while one.client.publish(f"t/{thread}", b"%d" % index) is None:
            time.sleep(0.005)


@VERSIONS
def test_two_threads_that_publish_over_tls_keep_one_connection(connect, tls_broker, version):
    subscriber = connect(tls_broker, "subscriber", ALL, address=tls_broker.address)
    one = connect(tls_broker, "publisher", address=tls_broker.address, version=version)
    threads = [threading.Thread(target=publish, args=(one, 300, name)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    until(lambda: len(subscriber.payloads) == 600, 60)
    until(lambda: len(one.of(Acknowledged)) == 600)
    assert one.losses == []
    assert tls_broker.log.count("as publisher") == 1
    for name in "ab":
        came = [int(m.payload) for m in subscriber.of(Message) if m.topic == f"t/{name}"]
        assert came == list(range(300)), "in order"


def test_a_server_keep_alive_is_kept_to(tmp_path, connect):
    """The broker closes the connection after 15 s of silence; our own keep-alive would be 60 s."""
    with Broker("allow_anonymous true\nmax_keepalive 10", folder=tmp_path) as broker:
        one = connect(broker, "one", keepalive_s=60)
        assert one.client.capabilities.keepalive_s == 10
        time.sleep(18)
        assert one.losses == []
        assert one.client.publish_and_wait("t/x", b"") is not None


@VERSIONS
def test_an_oversized_message_costs_no_memory_and_does_not_come_again(
    broker, connect, version, caplog, tmp_path
):
    (tmp_path / "big").write_bytes(bytes(60_000_000))
    one = connect(broker, "one", ALL, version=version, session_expiry_s=600)
    publisher = connect(broker, "publisher")
    before = peak_mb()
    subprocess.run(
        ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", "t/big", "-f", str(tmp_path / "big")],
        check=True, timeout=60,
    )  # fmt: skip
    assert publisher.client.publish_and_wait("t/small", b"small") is not None
    until(lambda: one.payloads == [b"small"])
    assert peak_mb(reset=False) - before < 20
    # A broker that speaks MQTT 5 is told the limit, and does not even send it.
    assert caplog.text.count("[oversized_message]") == (1 if version == "3.1.1" else 0)
    assert one.losses == []
    one.client.stop()
    caplog.clear()
    again = connect(broker, "one", ALL, version=version, session_expiry_s=600)
    publisher.client.publish_and_wait("t/small", b"second")
    until(lambda: again.payloads)
    assert again.payloads == [b"second"]
    assert "[oversized_message]" not in caplog.text, "it was acknowledged, so the broker has forgotten it"


@VERSIONS
def test_an_oversized_message_is_acknowledged_where_that_is_done_by_hand(broker, connect, version, caplog):
    options = {"manual_ack": True, "session_expiry_s": 600, "version": version}
    one = connect(broker, "one", ALL, **options)
    publisher = connect(broker, "publisher")
    publisher.client.publish_and_wait("t/big", bytes(100_000))
    publisher.client.publish_and_wait("t/small", b"small")
    until(lambda: one.payloads == [b"small"])
    one.of(Message)[0].acknowledge()
    until(lambda: "PUBACK from one" in broker.log)
    one.client.stop()
    caplog.clear()
    again = connect(broker, "one", ALL, **options)
    publisher.client.publish_and_wait("t/small", b"second")
    until(lambda: again.payloads == [b"second"])
    assert "[oversized_message]" not in caplog.text


def peak_mb(*, reset: bool = True) -> float:
    """The largest resident memory of this process since the last reset, in megabytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1000


@VERSIONS
def test_what_is_not_acknowledged_comes_again_and_a_late_acknowledgement_has_no_effect(
    broker, connect, version
):
    options = {"manual_ack": True, "session_expiry_s": 600, "version": version}
    one = connect(broker, "one", ALL, **options)
    publisher = connect(broker, "publisher")
    for payload in (b"first", b"second"):
        publisher.client.publish_and_wait("t/x", payload)
    until(lambda: len(one.payloads) == 2)
    one.of(Message)[0].acknowledge()
    until(lambda: "PUBACK from one" in broker.log)
    one.client.stop()
    one.of(Message)[1].acknowledge()
    again = connect(broker, "one", ALL, **options)
    until(lambda: again.payloads)
    time.sleep(0.3)
    assert again.payloads == [b"second"]
    assert again.of(Message)[0].queued


def test_a_stop_sends_what_was_handed_over_and_leaves_no_will(broker, connect, monkeypatch):
    # However busy this computer is.
    monkeypatch.setattr("edge.mqtt.connection.FLUSH_S", 30.0)
    subscriber = connect(broker, "subscriber", ALL)
    one = connect(broker, "one", will=Will("t/will", b"gone"))
    for index in range(50):
        assert one.client.publish("t/x", b"%d" % index) is not None
    one.client.stop(30.0)
    assert one.client.state is State.STOPPED
    assert one.client.publish("t/x", b"late") is None
    until(lambda: len(subscriber.payloads) == 50)
    time.sleep(0.3)
    assert [int(payload) for payload in subscriber.payloads] == list(range(50))


def test_a_stop_among_messages_that_keep_coming_leaves_no_will(broker, connect):
    watcher = connect(broker, "watcher", Subscription("t/will"))
    for number in range(5):
        one = connect(broker, f"one{number}", Subscription("t/flood"), will=Will("t/will", b"gone"))
        flood = connect(broker, f"flood{number}")
        for _ in range(300):
            flood.client.publish("t/flood", bytes(2000), qos=0)
        until(lambda one=one: one.payloads)
        one.client.stop()
    time.sleep(0.5)
    assert watcher.payloads == []


def test_a_broker_that_comes_back_is_connected_to_again(broker, connect):
    one = connect(broker, "one", ALL)
    broker.kill()
    until(lambda: one.client.state is State.WAITING)
    assert one.client.publish("t/x", b"lost") is None
    broker.start()
    until(lambda: len(one.of(Connected)) == 2)
    assert one.client.wait_for(State.READY, 10)
    assert one.client.publish_and_wait("t/x", b"back") == 0
    until(lambda: one.payloads == [b"back"])
    assert set(one.losses) <= {"connection_closed", "connection_refused", "connection_reset"}


def test_retained_messages_and_the_flag_of_live_ones(broker, connect):
    publisher = connect(broker, "publisher")
    publisher.client.publish_and_wait("t/kept", b"kept", retain=True)
    wants, does_not = connect(broker, "a", ALL), connect(broker, "b", Subscription("t/#", retained=False))
    until(lambda: wants.payloads == [b"kept"])
    publisher.client.publish_and_wait("t/live", b"live", retain=True)
    until(lambda: does_not.payloads == [b"live"])
    until(lambda: wants.payloads == [b"kept", b"live"])
    assert [m.retain for m in does_not.of(Message)] == [True]
    assert [m.retain for m in wants.of(Message)] == [True, False]


def test_a_broker_without_retained_messages_is_used_without(tmp_path, connect):
    with Broker("allow_anonymous true\nretain_available false", folder=tmp_path) as broker:
        subscriber = connect(broker, "subscriber", ALL)
        one = connect(broker, "one", will=Will("t/will", b"gone"))
        assert not one.client.capabilities.retain
        assert "retained" in one.client.capabilities.missing()
        assert one.client.publish_and_wait("t/x", b"x", retain=True) == 0
        until(lambda: subscriber.payloads == [b"x"])


def test_a_broker_with_qos_0_only_is_used_with_qos_0(tmp_path, connect):
    config = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_qos 0"
    with Broker(config, folder=tmp_path) as broker:
        subscriber = connect(broker, "subscriber", ALL)
        one = connect(broker, "one", will=Will("t/will", b"gone"))
        assert one.client.capabilities.max_qos == 0
        assert one.client.publish_and_wait("t/x", b"x") == 0
        until(lambda: subscriber.payloads == [b"x"])


@pytest.mark.parametrize("limit", ["retain_available false", "max_qos 0"])
def test_a_lesser_broker_is_used_with_3_1_1_that_cannot_say_so(tmp_path, connect, limit):
    with Broker(f"allow_anonymous true\n{limit}", folder=tmp_path) as broker:
        subscriber = connect(broker, "subscriber", ALL)
        one = connect(broker, "one", Subscription("u/#"), will=Will("t/will", b"gone"), version="3.1.1")
        assert one.client.publish_and_wait("t/x", b"x", retain=True) == 0
        until(lambda: subscriber.payloads == [b"x"])
        assert one.client.capabilities.missing()


def test_a_message_that_the_broker_does_not_take_is_not_sent(tmp_path, connect):
    with Broker("allow_anonymous true\nmax_packet_size 1500", folder=tmp_path) as broker:
        one = connect(broker, "one")
        assert one.client.publish("t/x", bytes(1500)) is None
        assert one.client.publish_and_wait("t/x", bytes(1000)) is not None
        assert one.losses == []


def test_recorders_share_a_subscription_and_on_3_1_1_each_gets_all(broker, connect):
    shared = Subscription("t/#", share="group")
    five = [connect(broker, f"five{n}", shared, version="5") for n in range(2)]
    old = connect(broker, "old", shared, version="3.1.1")
    publisher = connect(broker, "publisher")
    for index in range(20):
        publisher.client.publish_and_wait("t/x", b"%d" % index)
    until(lambda: len(old.payloads) == 20)
    until(lambda: sum(len(one.payloads) for one in five) == 20)


def test_a_filter_of_an_earlier_start_is_unsubscribed(broker, connect):
    before = connect(broker, "one", Subscription("old/#"), session_expiry_s=600)
    before.client.stop()
    now = connect(broker, "one", ALL, session_expiry_s=600, unsubscribe=("old/#",))
    publisher = connect(broker, "publisher")
    publisher.client.publish_and_wait("old/x", b"old")
    publisher.client.publish_and_wait("t/x", b"new")
    until(lambda: now.payloads == [b"new"])


def test_what_is_optional_is_subscribed_to_besides(broker, connect):
    both = connect(broker, "both", ALL, optional=(Subscription("more/#"),))
    publisher = connect(broker, "publisher")
    publisher.client.publish_and_wait("t/x", b"wanted")
    # The answer to the second SUBSCRIBE comes after the client is ready.
    until(lambda: publisher.client.publish_and_wait("more/x", b"more") == 0 and b"more" in both.payloads)
    assert both.payloads[0] == b"wanted"
    assert both.losses == []


def test_a_program_that_needs_the_broker_now_is_told_why_there_is_none():
    port = free_port()
    client = Client(BrokerAddress("127.0.0.1", port), ClientOptions("one"), lambda _: None)
    begun = time.monotonic()
    reason = client.connect(10)
    client.stop()
    assert reason.code == "connection_refused"
    assert str(port) in reason.text
    assert time.monotonic() - begun < 5


def test_another_client_with_the_same_id_is_named_as_the_reason(broker, connect):
    one = connect(broker, "same", version="5")
    connect(broker, "same", version="5")
    until(lambda: "client_id_conflict" in one.losses)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_broker_that_is_restarted_again_and_again_is_no_other_client(broker, connect, version):
    one = connect(broker, "one", version=version)
    for number, end in enumerate((broker.kill, broker.stop, broker.kill, broker.kill), 1):
        end()
        until(lambda number=number: len([e for e in one.of(Disconnected) if e.was_connected]) == number)
        broker.start()
        assert one.client.wait_for(State.READY, 20)
    assert "client_id_conflict" not in one.losses
