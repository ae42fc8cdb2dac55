"""Whatever a subscriber sends as a command: no crash, and no effect without a valid command."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contract import Response
from edge.link.commands import Commands, ok

KNOWN = ("mute", "restart", "replay")
WORDS = st.sampled_from(["transaction", "sent_at", "seconds", "on", "boot", "from_seq", "to_seq", "x"])
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


def check(verb, payload, retain, queued):
    acted, answered = [], []

    def act(command, reply):
        acted.append(command)
        reply(ok(command))

    commands = Commands(dict.fromkeys(KNOWN, act), lambda v, r: answered.append((v, r)), lambda: True)
    commands.handle(verb, payload, retain, queued)
    assert len(acted) <= 1
    assert len(answered) <= 1
    if retain:
        assert not acted
        assert not answered
    for command in acted:
        assert answered == [(verb, Response(transaction=command.transaction, ok=True))]
        assert json.loads(payload)["transaction"] == command.transaction
        assert verb in KNOWN
    for _, response in answered:
        assert len(response.error) < 500


ARGUMENTS = (
    st.sampled_from([*KNOWN, "explode", "", "a/b", "+", "\x00", "ä"])
    | st.text(string.printable, max_size=40),
    PAYLOADS,
    st.booleans(),
    st.booleans(),
)


@given(*ARGUMENTS)
@settings(max_examples=500, deadline=None)
def test_any_command_is_obeyed_or_refused(verb, payload, retain, queued):
    check(verb, payload, retain, queued)


@pytest.mark.long
@pytest.mark.timeout(600)
@given(*ARGUMENTS)
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_commands_are_obeyed_or_refused(verb, payload, retain, queued):
    check(verb, payload, retain, queued)
