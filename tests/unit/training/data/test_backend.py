"""What a framework writes at its start is put aside, and shown where it cannot be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.networks.backend import import_quietly

NATIVE = "import os\nos.write(2, b'cudart_stub.cc: no drivers\\n')\n"
"""A native library does not ask Python for standard error."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_framework_starts_without_a_word(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "loud_framework.py").write_text(NATIVE)
    import_quietly("loud_framework")
    print("afterwards", file=sys.stderr)
    assert capfd.readouterr().err == "afterwards\n"
    assert "loud_framework" in sys.modules


def test_one_that_cannot_be_imported_says_why(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "broken_framework.py").write_text(f"{NATIVE}raise ImportError('libcuda is broken')\n")
    with pytest.raises(ImportError, match="libcuda"):
        import_quietly("broken_framework")
    assert "no drivers" in capfd.readouterr().err
