"""The result of one check of `roomtone doctor`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Check(Struct, frozen=True):
    """The result of one check of `roomtone doctor`, with its remedy."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    """The finding."""
    remedy: str = ""
    """What to do; empty when nothing is to be done."""
