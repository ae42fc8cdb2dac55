"""The codes of log messages: `[session_expired] ...` has `session_expired`. Tests compare them, not the prose."""

from __future__ import annotations

import re

import pytest


def codes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The codes of all captured messages that have one, in order."""
    found = (re.match(r"\[([a-z0-9_]+)\] ", record.getMessage()) for record in caplog.records)
    return [match[1] for match in found if match]
