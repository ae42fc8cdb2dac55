"""What every part tells `roomtone doctor`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do; empty when all is well."""
