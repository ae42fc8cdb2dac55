import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import protocol
from edge.protocol import (
    ContractError,
    Event,
    LevelSignal,
    MicSignal,
    Probabilities,
    UtteranceReport,
    UtteranceValues,
)

EVENT = Event(
    id="01JD0000000000000000000000",
    boot="7f3a9c01",
    seq=42,
    event_type="angry",
    confidence=0.81,
    probabilities=Probabilities(
        neutral=0.05, happy=0.02, sad=0.01, angry=0.81, fearful=0.06, disgust=0.03, surprised=0.02
    ),
    started_at="2026-01-01T10:00:00.120Z",
    duration_ms=2310,
    snr_db=18.2,
    level_dbfs=-23.1,
    model="base-1.2.0",
    latency_ms=34,
)
UTTERANCE = UtteranceReport(
    42,
    UtteranceValues(
        event_type="angry",
        shares=(5, 2, 1, 81, 6, 3, 2),
        arousal=4,
        started=1_000_000,
        length=72,
        snr_db=18,
        level_dbfs=-23,
        latency=3,
    ),
)


def test_the_order_of_the_labels_is_the_order_of_the_probabilities() -> None:
    assert Probabilities.__struct_fields__ == protocol.LABELS


def test_an_event_survives_the_wire() -> None:
    data = protocol.encode(UTTERANCE)
    assert len(data) <= protocol.MAX_REPORT_BYTES
    assert protocol.decode_ear_message(data) == UTTERANCE
    assert protocol.decode_event(protocol.encode(EVENT)) == EVENT


@pytest.mark.parametrize(
    "signal",
    [
        LevelSignal(dbfs=-100, speech=False),
        MicSignal("starting"),
        MicSignal("muted", ("device", "remote", "quiet_hours")),
    ],
)
def test_a_signal_fits_into_its_64_bytes(signal: protocol.Signal) -> None:
    assert len(protocol.encode(signal)) <= protocol.MAX_SIGNAL_BYTES


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"audio": "AAAA"}, "unknown field"),
        ({"event_type": "bored"}, "enum"),
        ({"confidence": 1.5}, "<= 1.0"),
        ({"seq": 0}, ">= 1"),
        ({"boot": "7f3a9c01\n"}, "must be"),
        ({"id": "not a ulid"}, "must be"),
        ({"started_at": "yesterday"}, "must be"),
        ({"v": 2}, "enum"),
        ({"model": "../../etc"}, "must be"),
        ({"probabilities": {"neutral": 1.0}}, "missing required field"),
    ],
)
def test_a_message_that_breaks_the_schema_is_refused(change: dict[str, object], reason: str) -> None:
    tree = msgspec.to_builtins(EVENT) | change
    with pytest.raises(ContractError, match=reason):
        protocol.decode_event(msgspec.json.encode(tree))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"audio": "AAAA"}, "unknown field"),
        ({"event_type": "bored"}, "enum"),
        ({"shares": [5, 2, 1, 81, 6, 3, 3]}, "sum to 100"),
        ({"shares": [5, 2, 1, 81, 6, 5]}, "length 7"),
        ({"shares": [5.5, 2, 1, 80.5, 6, 3, 2]}, "int"),
        ({"shares": [105, 2, 1, 0, -8, 0, 0]}, "<= 100"),
        ({"arousal": 0.25}, "int"),
        ({"arousal": 21}, "<= 20"),
        ({"level_dbfs": -23.1}, "int"),
        ({"length": 1876}, "<= 1875"),
        ({"latency": 256}, "<= 255"),
    ],
)
def test_an_utterance_of_anything_but_whole_steps_is_refused(change: dict[str, object], reason: str) -> None:
    tree = msgspec.to_builtins(UTTERANCE)
    tree["values"] |= change
    with pytest.raises(ContractError, match=reason):
        protocol.decode_ear_message(msgspec.json.encode(tree))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"1"', b"null"])
def test_a_number_that_is_not_one_is_refused(number: bytes) -> None:
    data = protocol.encode(UTTERANCE).replace(b":18,", b":" + number + b",")
    with pytest.raises(ContractError):
        protocol.decode_ear_message(data)


def test_a_message_that_is_too_long_is_refused_whatever_it_says() -> None:
    data = protocol.encode(UTTERANCE)
    with pytest.raises(ContractError, match="at most 1024"):
        protocol.decode_ear_message(data + b" " * protocol.MAX_REPORT_BYTES)
    with pytest.raises(ContractError, match="at most 128"):
        protocol.decode_ear_message(protocol.encode(MicSignal("ok")) + b" " * 128)
    with pytest.raises(ContractError, match="at most 256"):
        protocol.decode_ear_command(protocol.encode(protocol.Mute()) + b" " * 256)


@given(st.binary(max_size=1500))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for decode in (protocol.decode_ear_message, protocol.decode_ear_command, protocol.decode_event):
        with contextlib.suppress(ContractError):
            decode(data)
