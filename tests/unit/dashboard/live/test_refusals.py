"""What was refused, by sender."""

from __future__ import annotations

from dashboard.live.refusals import MAX_SENDERS, Refusals


def test_messages_are_counted_by_sender_the_last_one_first():
    refusals = Refusals()
    refusals.add("roomtone", "roomtone/kitchen/event", "confidence: too large", 1.0)
    refusals.add("roomtone", "roomtone/hall/mic", "unknown state", 2.0)
    refusals.add("roomtone", "roomtone/kitchen/event", "not JSON", 3.0)
    found = [(one.sender, one.count, one.reason, one.at) for one in refusals.latest()]
    assert found == [("kitchen", 2, "not JSON", 3.0), ("hall", 1, "unknown state", 2.0)]
    assert refusals.total == 3


def test_what_anyone_sends_stays_small_and_printable():
    refusals = Refusals()
    for n in range(10 * MAX_SENDERS):
        refusals.add("roomtone", f"roomtone/{n}\x1b[2J{'x' * 500}/event", "\x00" * 5000, 1.0)
    kept = refusals.latest()
    assert (len(kept), refusals.total) == (MAX_SENDERS, 10 * MAX_SENDERS)
    assert all(one.sender.isprintable() and len(one.sender) <= 64 for one in kept)
    assert all(one.reason.isprintable() and len(one.reason) <= 120 for one in kept)
