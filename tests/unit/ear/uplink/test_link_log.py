"""A link that is missing: said at once, a warning when it lasts, and its return said, too."""

from __future__ import annotations

import pytest

from edge.ear.uplink.link_log import REFUSED, LinkLog
from edge.protocol import RESTART_GRACE_S


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def test_a_warning_comes_once_and_when_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = LinkLog("link.sock")
    log.on_missing("No such file or directory", 100.0)
    log.on_missing("No such file or directory", 99.0 + RESTART_GRACE_S)
    assert levels(caplog) == ["INFO"]
    log.on_missing("No such file or directory", 100.0 + RESTART_GRACE_S)
    log.on_missing("Connection refused", 200.0 + RESTART_GRACE_S)
    assert levels(caplog) == ["INFO", "WARNING", "INFO"]
    assert "[link_missing] no link at link.sock for 15 s" in caplog.text
    log.on_connected(answered=False)
    assert levels(caplog)[3:] == ["INFO"]


def test_a_connection_in_between_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = LinkLog("link.sock")
    log.on_missing("gone", 0.0)
    log.on_connected(answered=True)
    log.on_missing("gone", RESTART_GRACE_S + 1.0)
    assert set(levels(caplog)) == {"INFO"}


def test_a_link_that_closes_at_once_is_missing_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = LinkLog("link.sock")
    for now in range(20):
        log.on_connected(answered=False)
        log.on_missing(REFUSED, float(now))
    assert levels(caplog) == ["INFO", "INFO", "WARNING"]
