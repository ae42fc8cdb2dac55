"""Any terminal: nothing that is printed ends in an exception, and no name can send control sequences."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.util.text.terminal import ERRORS, prepare_output, printable


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
@given(st.text())
def test_any_text_is_printed_in_any_encoding(encoding: str, text: str) -> None:
    printed = printable(text).encode(encoding, ERRORS).decode(encoding)
    assert all(character.isprintable() or character == "?" for character in printed)


def test_bars_and_dashes_have_a_plain_form() -> None:
    assert "██░ 50 % – so…".encode("ascii", ERRORS) == b"##. 50 % - so..."
    assert "██ 20°".encode("latin-1", ERRORS) == "## 20°".encode("latin-1")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_prepared_whatever_it_is(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, stream, io.TextIOWrapper(raw, encoding="ascii"))
    prepare_output()
    print("Küche █", file=getattr(sys, stream), flush=True)
    assert raw.getvalue() == b"K?che #\n"
    for other in (None, io.StringIO()):
        monkeypatch.setattr(sys, stream, other)
        prepare_output()


@given(st.text())
def test_a_name_is_one_line_without_control_characters(text: str) -> None:
    assert printable(text).isprintable() or not text
    assert "\n" not in printable(text)


def test_escapes_and_bytes_are_shown() -> None:
    assert printable("\x1b[2Ja\nb\u202ec\udcff") == "\\x1b[2Ja\\nb\\u202ec\\xff"
    assert printable("Küche – 1") == "Küche – 1"
