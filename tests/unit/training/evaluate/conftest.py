"""Tests without processes: also where ffmpeg is installed, an unreadable recording is not tried with it."""

import pytest


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch):
    monkeypatch.setenv("PATH", "")
