"""A box that is well, as it says so itself."""

from __future__ import annotations

from edge.protocol.messages import EarHealth, Health


def well(**changes: object) -> Health:
    """`lost`: events that the ear dropped; everything else is a field of `Health`."""
    ear = EarHealth(
        frames=1,
        overruns=0,
        utterances=1,
        inference_p50_ms=9,
        inference_p95_ms=12,
        rss_mb=70,
        dropped=changes.pop("lost", 0),  # type: ignore[arg-type]
    )
    fields: dict[str, object] = {
        "clock": "synced",
        "uptime_s": 100,
        "spool": 0,
        "drops": 0,
        "reconnects": 0,
        "rejected": 0,
        "link_rss_mb": 20,
        "ear": ear,
    }
    return Health(**fields | changes)  # type: ignore[arg-type]
