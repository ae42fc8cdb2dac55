"""Rendering metrics for Prometheus, in the format that a request accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def render(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the body and its content type: OpenMetrics if `accept` (the header) asks for it, else the text format.

    A header that the library cannot parse counts as none.
    """
    from prometheus_client.exposition import choose_encoder

    try:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
    except (ValueError, TypeError, AttributeError):
        encode, content_type = choose_encoder("")
        return encode(registry), content_type
