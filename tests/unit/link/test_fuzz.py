"""Whatever strangers send: no crash, no hang, and no effect without a valid message."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol import (
    InfoReport,
    LevelSignal,
    MicSignal,
    encode,
)
from tests.fuzz.targets import KNOWN, command, configuration, intake
from tests.support.messages import EAR_INFO, utterance

WORDS = st.sampled_from(
    ["transaction", "sent_at", "seconds", "on", "boot", "from_seq", "to_seq", "x", "t", "event"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=80)
    | st.just("t1")
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6)
)
PAYLOADS = (
    st.binary(max_size=1500)
    | TREES.map(lambda tree: json.dumps(tree).encode())
    | st.integers(1, 700).map(lambda depth: b"[" * depth)
)
COMMANDS = (
    PAYLOADS,
    st.sampled_from([*KNOWN, "explode", "", "a/b", "+", "\x00", "ä"])
    | st.text(string.printable, max_size=40),
    st.booleans(),
    st.booleans(),
)
GOOD = [
    encode(m)
    for m in (
        utterance(1),
        InfoReport(EAR_INFO, "0" * 16, 1),
        MicSignal("ok"),
        LevelSignal(dbfs=-3, speech=True),
    )
]


@st.composite
def nearly(draw):
    """A good message with a few bytes changed, left out or put in."""
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


KEYS = st.sampled_from(
    ["id", "name", "host", "port", "tls", "speed", "onset", "device", "socket", "retain", "x"]
)
SECTIONS = st.sampled_from(
    ["node", "audio", "vad", "mqtt", "state", "runtime", "homeassistant", "x", "node.id"]
)
VALUES = (
    st.text(max_size=300).map(json.dumps)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["true", "1979-05-27", "07:32:00", "[]", "{}", "'''x'''", "9" * 5000, "[" * 2000, "0x_"]
    )
)
LINES = st.builds(lambda s: f"[{s}]", SECTIONS) | st.builds(lambda k, v: f"{k} = {v}", KEYS, VALUES)
FILES = st.lists(LINES, max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
CONFIGURATIONS = FILES | st.binary(max_size=1500)


@given(*COMMANDS)
@settings(max_examples=500, deadline=None)
def test_any_command_is_obeyed_or_refused(payload, verb, retain, queued):
    command(payload, verb, retain, queued)


@given(nearly() | PAYLOADS)
@settings(max_examples=500, deadline=None)
def test_any_message_of_the_ear_is_passed_or_rejected(data):
    intake(data)


@given(CONFIGURATIONS)
@settings(max_examples=500, deadline=None)
def test_any_configuration_is_taken_or_refused(data):
    configuration(data)


@pytest.mark.parametrize("key", ["o" * 900, "line\\nbreak", "a\\u202eb"])
def test_an_answer_repeats_no_more_than_a_little_of_what_was_sent(key):
    """Found by atheris: the name of an unknown key came back whole."""
    command(f'{{"transaction{key}": 1}}'.encode())


@pytest.mark.long
@pytest.mark.timeout(900)
@given(*COMMANDS)
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_commands_are_obeyed_or_refused(payload, verb, retain, queued):
    command(payload, verb, retain, queued)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(nearly() | PAYLOADS)
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_messages_of_the_ear_are_passed_or_rejected(data):
    intake(data)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(CONFIGURATIONS)
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_configurations_are_taken_or_refused(data):
    configuration(data)
