"""Waiting between attempts to connect."""

import dataclasses
import random
import statistics

import pytest

from edge.mqtt import reason_codes
from edge.mqtt.address import BrokerAddress
from edge.mqtt.reason_codes import Identity, Reason
from edge.mqtt.reconnect import Attempt, Backoff, Ended, ReconnectLogic

CAP_S = 60


def test_no_wait_is_longer_than_the_cap_and_none_is_short():
    backoff = Backoff(rng=random.Random(1))
    waits = [backoff.next() for _ in range(1000)]
    assert min(waits) >= 2
    assert 50 < max(waits) <= CAP_S


def test_windows_grow_and_begin_anew_after_a_reset():
    backoff = Backoff(rng=random.Random(1))
    for window in (6, 9, 13.5, 20.25):
        assert window / 3 <= backoff.next() <= window
    backoff.reset()
    assert backoff.next() <= 6


def test_the_same_seed_waits_alike_and_another_does_not():
    def waits(seed):
        return [Backoff(rng=random.Random(seed)).next() for _ in range(3)]

    assert waits(1) == waits(1) != waits(2)


def connects(links, outage_s):
    """When each of many links, that lose their broker at 0, connects again: the first attempt after the outage."""
    found = []
    for seed in range(links):
        backoff, now = Backoff(rng=random.Random(seed)), 0.0
        while now <= outage_s:
            now += backoff.next()
        found.append(now)
    return found


def peak_over_mean(times):
    """Of the rate of connects, in twentieths of the time in which all but the first and last 1 % come back."""
    cuts = statistics.quantiles(times, n=100)
    low, high = cuts[0], cuts[-1]
    bins = [0] * 20
    for time in times:
        if low <= time < high:
            bins[int((time - low) / (high - low) * 20)] += 1
    return max(bins) / statistics.mean(bins)


@pytest.mark.parametrize("outage", [0, 2, 5, 10, 20, 30, 60, 300, 3600])
def test_a_thousand_links_that_lose_one_broker_at_once_come_back_spread_out(outage):
    times = connects(1000, outage)
    assert peak_over_mean(times) < 3
    assert max(times) - outage <= CAP_S


WHO = Identity(BrokerAddress("broker.example"), "roomtone-kitchen")
CLOSED = reason_codes.closed(WHO)
UNANSWERED = reason_codes.closed_unanswered(WHO)
REFUSED = Reason("connection_refused", "nothing listens")


def logic(version="auto"):
    return ReconnectLogic(WHO, version, Backoff(rng=random.Random(1)))


def worked(seconds, reason=CLOSED, code=None):
    return Ended(reason, connected_s=seconds, served=True, code=code)


def never(reason=UNANSWERED, code=None):
    return Ended(reason, code=code, silent=code is None and reason is UNANSWERED)


def test_mqtt_5_is_tried_first_and_3_1_1_at_once_where_it_is_refused():
    one = logic()
    assert one.attempt.version == "5"
    retry = one.ended(Ended(Reason("unsupported_protocol", ""), code=reason_codes.UNSUPPORTED_PROTOCOL))
    assert (retry.attempt.version, retry.report) == ("3.1.1", False)
    assert retry.delay_s < 1


def test_a_broker_that_closes_without_an_answer_is_tried_with_both_versions_in_turn():
    one = logic()
    assert [one.ended(never()).attempt.version for _ in range(4)] == ["3.1.1", "5", "3.1.1", "5"]


def test_the_version_that_worked_is_tried_first_at_the_next_reconnect():
    one = logic()
    one.ended(never())
    assert one.ended(worked(100)).attempt.version == "3.1.1"
    assert one.ended(never()).attempt.version == "3.1.1", "it worked: the broker is only slow"
    assert one.ended(never(REFUSED)).attempt.version == "3.1.1"


def test_a_version_that_worked_is_left_when_the_broker_refuses_it_by_name():
    one = logic()
    one.ended(worked(100))
    retry = one.ended(Ended(Reason("unsupported_protocol", ""), code=reason_codes.UNSUPPORTED_PROTOCOL))
    assert retry.attempt.version == "3.1.1"


def test_nobody_listening_is_no_reason_to_change_the_version():
    one = logic()
    assert one.ended(never(REFUSED)).attempt.version == "5"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_version_that_is_configured_stays(version):
    one = logic(version)
    for ended in (never(), Ended(UNANSWERED, code=reason_codes.UNSUPPORTED_PROTOCOL), worked(1)):
        assert one.ended(ended).attempt.version == version


def test_a_broker_that_accepts_mqtt_5_and_closes_at_the_subscription_is_tried_with_3_1_1():
    one = logic()
    retry = one.ended(Ended(CLOSED, connected_s=0.1, served=False, silent=True))
    assert retry.attempt.version == "3.1.1"


def test_two_short_connections_in_a_row_mean_that_another_client_has_the_id():
    one = logic()
    assert one.ended(worked(5)).reason.code == "connection_closed"
    assert one.ended(worked(5)).reason.code == "client_id_conflict"
    assert one.ended(worked(500)).reason.code == "connection_closed"


def test_a_broker_that_is_restarted_again_and_again_is_no_conflict():
    one = logic()
    restarted = dataclasses.replace(worked(5), broker_gone=True)
    assert [one.ended(restarted).reason.code for _ in range(3)] == ["connection_closed"] * 3
    # A restart between two other closings, neither.
    for ended in (worked(5), restarted, worked(5)):
        assert one.ended(ended).reason.code == "connection_closed"
    assert one.ended(worked(5)).reason.code == "client_id_conflict"


def lost(seconds=1.0, size=11_000, code=None):
    return Ended(CLOSED, connected_s=seconds, served=True, code=code, unacknowledged_bytes=size)


def test_a_broker_that_closes_twice_on_a_large_message_gets_no_such_message_any_more():
    one = logic()
    first = one.ended(lost())
    assert (first.reason.code, first.attempt.max_packet_bytes) == ("connection_closed", 2**28)
    second = one.ended(lost())
    assert (second.reason.code, second.attempt.max_packet_bytes) == ("packet_too_large", 10_999)
    assert "11000" in second.reason.text
    assert one.ended(worked(5)).reason.code == "connection_closed", "what came before is forgotten"


def test_a_broker_that_says_so_gets_no_such_message_at_once():
    one = logic()
    assert one.ended(lost(code=reason_codes.PACKET_TOO_LARGE)).attempt.max_packet_bytes == 10_999


@pytest.mark.parametrize(
    "between", [worked(5), lost(size=500), lost(seconds=500)], ids=["nothing sent", "small", "lasted"]
)
def test_connections_that_break_for_another_reason_set_no_limit(between):
    one = logic()
    for ended in (lost(), between, lost(), lost(seconds=500), lost(size=900), lost(size=900)):
        assert one.ended(ended).attempt.max_packet_bytes == 2**28


def test_the_same_reason_is_reported_once_until_a_connection_was_there():
    one = logic()
    assert [one.ended(never(REFUSED)).repeated for _ in range(3)] == [False, True, True]
    assert not one.ended(worked(100)).repeated
    assert not one.ended(worked(100)).repeated


def test_the_back_off_begins_anew_after_a_connection_that_lasted():
    one = logic()
    for _ in range(10):
        one.ended(never(REFUSED))
    assert one.ended(never(REFUSED)).delay_s > 18
    assert one.ended(worked(100)).delay_s <= 6


def test_a_broker_without_retained_messages_gets_a_will_that_is_not_retained():
    one = logic()
    refusal = Ended(Reason("retain_not_supported", ""), code=reason_codes.RETAIN_NOT_SUPPORTED)
    retry = one.ended(refusal)
    assert retry.attempt == Attempt("5", will_retain=False)
    assert retry.delay_s < 1
    assert one.ended(refusal).delay_s > 1, "no loop where that does not help"


def test_a_broker_without_qos_1_gets_a_will_with_qos_0():
    one = logic()
    refusal = Ended(Reason("qos_not_supported", ""), code=reason_codes.QOS_NOT_SUPPORTED)
    assert one.ended(refusal).attempt == Attempt("5", will_qos=0)


def test_a_broker_of_3_1_1_that_closes_without_an_answer_is_asked_for_less_and_then_anew():
    one = logic("3.1.1")
    asked = [one.ended(never()) for _ in range(4)]
    assert [(retry.attempt.will_retain, retry.attempt.will_qos) for retry in asked] == [
        (False, 1), (False, 0), (True, 1), (False, 1),
    ]  # fmt: skip
    assert [retry.delay_s < 1 for retry in asked] == [True, True, False, True]
    one.ended(worked(100))
    assert one.ended(never()).attempt.will_retain is False, "it worked like that: the broker is only slow"


def test_a_broker_that_closes_on_what_is_optional_is_connected_to_again_at_once():
    logic = ReconnectLogic(Identity(BrokerAddress("hub"), "one"), "auto")
    closed = Reason("connection_closed", "closed")
    for _ in range(3):
        retry = logic.ended(Ended(closed, 0.1, served=True, optional_refused=True))
        assert not retry.report
        assert retry.delay_s < 1
        assert retry.reason.code == "connection_closed"
