"""A virtual microphone, and how many device tests have to pass in CI."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SPEECH
from tests.support.machines.microphone import VirtualMicrophone

MUST_RUN = {"test_box.py": 13, "test_sandbox.py": 10}
"""So many tests of a whole box have to pass in CI, where the device tests are asked for."""
_passed: Counter[str] = Counter()


@pytest.fixture
def microphone(tmp_path: Path) -> Iterator[VirtualMicrophone]:
    missing = [name for name in ("pulseaudio", "pactl", "paplay") if shutil.which(name) is None]
    if not (SPEECH / "goforward.raw").exists():
        missing.append("pocketsphinx-testdata")
    try:
        import pyaudio  # noqa: F401
    except ImportError:
        missing.append("PyAudio")
    if missing:
        message = f"the virtual microphone needs {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    microphone = VirtualMicrophone(tmp_path)
    microphone.start()
    yield microphone
    microphone.kill()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clean up on SIGTERM, too, as `timeout` sends it: a container would go on without its test."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        _passed[Path(report.fspath).name] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a device test that was left out is a failure, whatever the reason."""
    asked = {
        item.path.name for item in getattr(session, "items", []) if item.path.parent == Path(__file__).parent
    }
    if os.environ.get("CI") != "true" or not session.config.getoption("--long"):
        return
    for name, least in MUST_RUN.items():
        if name in asked and _passed[name] < least:
            print(f"\n{name}: {_passed[name]} tests have passed, in CI at least {least} must")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
