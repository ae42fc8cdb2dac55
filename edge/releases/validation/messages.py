"""What is asked of the gate and what it answers: one line of JSON each."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from edge.protocol.messages import ModelName, Sha256

MAX_LINE: Final = 16_384


class Budget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model may cost on this very box."""

    window_ms: float = 1500.0
    """Median for a window of 3 s, whatever the model before needs."""
    times_reference: float = 4.0
    """And so many times the median of the model that runs now."""
    free_ms: float = 5.0
    """Below this it is quick enough, however much quicker the model before was."""
    memory_mb: float = 256.0
    """How much the process may grow by loading and running it."""
    leak_mb: float = 8.0
    """How much it may grow in `runs` further runs."""
    runs: Annotated[int, Meta(ge=2, le=1000)] = 40


class Ask(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Try this bundle."""

    bundle: str
    name: ModelName
    model_sha256: Sha256
    reference: str = ""
    """Folder of the model that runs now; empty: there is none to compare with."""
    budget: Budget = Budget()


class Verdict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of it."""

    ok: bool
    why: str = ""
    window_ms: float = 0.0
    reference_ms: float = 0.0
    memory_mb: float = 0.0
    labels: int = 0
    """Different decisions over the golden inputs of both."""
