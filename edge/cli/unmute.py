"""`roomtone unmute`: opens the microphone again, at the device."""

from __future__ import annotations

from typing import Any

from edge.cli.mute import add_parser


def register(subparsers: Any) -> None:
    """Add `roomtone unmute`."""
    add_parser(subparsers, "unmute", "open the microphone again, also after a remote mute", muted=False)
