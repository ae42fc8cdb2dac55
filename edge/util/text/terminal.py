"""Output to any terminal: what its encoding does not have is replaced, and names cannot send it control sequences."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

PLAIN: Final = {
    "\u2588": "#", "\u2591": ".", "\u2026": "...", "\u2013": "-", "\u2014": "-", "\u2192": "->", "\u00b7": "-",
    "\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u00d7": "x", "\u2264": "<=", "\u2265": ">=",
    "\u00b0": " deg", "\u2212": "-", "\u2714": "ok", "\u2718": "!",
}  # fmt: skip
"""Characters of our own output that Latin-1 or ASCII lacks, and what stands for them there."""
ERRORS: Final = "roomtone-plain"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _replace)


def prepare_output() -> None:
    """Let standard output and error replace what their encoding lacks, in place of raising `UnicodeEncodeError`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def printable(text: str) -> str:
    """Return a text in one line, with control characters and bytes that are no text written as escapes."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
