"""Logs have priorities in the journal, and are plain text everywhere else."""

import logging
import os
import sys

import pytest

from edge.util import journal


@pytest.fixture(autouse=True)
def root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def connect_to_journal(monkeypatch):
    """Make standard error what systemd would pass. Called in the test: a fixture's standard error may be another."""
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")


def logged(capsys, monkeypatch, level="info"):
    monkeypatch.setitem(sys.modules, "systemd.journal", None)  # not installed
    logging.getLogger().handlers[:] = []  # as at the start of a process
    journal.configure("link", level)
    log = logging.getLogger("roomtone.test")
    log.debug("detail")
    log.info("started")
    log.warning("first line\nsecond line")
    log.error("failed")
    return capsys.readouterr().err.splitlines()


def test_every_line_has_its_priority_in_the_journal(capfd, monkeypatch):
    connect_to_journal(monkeypatch)
    assert logged(capfd, monkeypatch, "debug") == [
        "<7>DEBUG link: detail",
        "<6>INFO link: started",
        "<4>WARNING link: first line\\nsecond line",
        "<3>ERROR link: failed",
    ]


@pytest.mark.parametrize("stream", ["", "1:2", "nonsense", "8:", ":"])
def test_without_the_journal_there_is_plain_text(capfd, monkeypatch, stream):
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    assert logged(capfd, monkeypatch) == [
        "INFO link: started",
        "WARNING link: first line\\nsecond line",
        "ERROR link: failed",
    ]


@pytest.mark.parametrize(
    ("level", "expected"), [(10, 7), (15, 7), (20, 6), (30, 4), (35, 4), (40, 3), (50, 3), (0, 7)]
)
def test_priorities_are_those_of_syslog(level, expected):
    assert journal.priority(level) == expected


def test_the_handler_of_systemd_sends_fields(monkeypatch):
    pytest.importorskip("systemd.journal")
    handler = journal._journal_handler("roomtone-link")
    assert handler is not None


def failure(text):
    raise ValueError(text)


def test_a_traceback_has_its_priority_on_every_line(capfd, monkeypatch):
    connect_to_journal(monkeypatch)
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    logging.getLogger().handlers[:] = []
    journal.configure("link", "info")
    # Threads of other tests in this process log, too.
    logging.getLogger().handlers[0].addFilter(logging.Filter("roomtone.test"))
    try:
        failure("a name\x1b[2J" + "x" * 5000)
    except ValueError:
        logging.getLogger("roomtone.test").exception("failed")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) > 3
    assert [ln for ln in lines if not (ln.startswith("<3>") and len(ln) < 1100 and ln.isprintable())] == []
