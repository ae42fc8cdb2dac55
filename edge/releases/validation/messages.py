"""Request and verdict of a validation: one line of JSON each."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from edge.protocol import ModelName, Sha256

MAX_LINE: Final = 16_384


class Budget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of time and memory that a model must keep on this device."""

    window_ms: float = 1500.0
    """Highest median latency of a window of 3 s."""
    times_reference: float = 4.0
    """Highest latency as a multiple of that of the model that runs now."""
    free_ms: float = 5.0
    """A latency below this passes, however fast the model that runs now is."""
    memory_mb: float = 256.0
    """Memory that loading and running may take."""
    leak_mb: float = 8.0
    """Growth of memory that is allowed in `runs` further runs."""
    runs: Annotated[int, Meta(ge=2, le=1000)] = 40


class ValidationRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request to validate a bundle."""

    bundle: str
    name: ModelName
    model_sha256: Sha256
    reference: str = ""
    """Folder of the model that runs now, for the comparison of latency; empty: none."""
    budget: Budget = Budget()


class Verdict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The result of a validation."""

    ok: bool
    manifest_sha256: Sha256 | None = None
    """Of the bundle that was validated: the verdict is about these bytes and no others."""
    reason: str = ""
    window_ms: float = 0.0
    reference_ms: float = 0.0
    memory_mb: float = 0.0
    labels: int = 0
    """Number of distinct predicted labels over the golden inputs."""
