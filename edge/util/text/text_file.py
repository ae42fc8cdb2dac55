"""Small text files that people write: whatever editor they used, the text is understood or the refusal says what to do.

Editors add byte order marks, end lines with CR LF, save as UTF-16, or replace quotes by curly ones.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError, reason

MAX_BYTES: Final = 1 << 20
CURLY_QUOTES: Final = re.compile("[\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb]")
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, see: str = "", max_bytes: int = MAX_BYTES) -> str:
    """Return a file in UTF-8 or, with a byte order mark, UTF-16, with LF at the ends of lines.

    Raises `UserError` for any other file; `see` is added to its text, such as the option that names the file.
    """
    hint = f"; see {see}" if see else ""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)}){hint}") from None
    if len(data) > max_bytes:
        raise UserError(f"{path}: longer than {max_bytes} bytes; is it the right file?{hint}")
    try:
        text = data.decode("utf-16" if data.startswith(_WIDE) else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text in UTF-8; save it as UTF-8{hint}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def first_line(path: Path, see: str) -> str:
    """Return the first line of a file that holds a secret, without the end of the line.

    Raises `UserError`, also when that line is empty; its text names `see`, the option or key that names the file.
    """
    line = read_text(path, see, 65_536).partition("\n")[0]
    if not line.strip():
        raise UserError(f"{path}: its first line is empty; write the password there, see {see}")
    return line


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file. Raises `UserError` that says what to do."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Not only TOMLDecodeError: 5,000 digits or 1,000 brackets raise other exceptions.
        raise UserError(f"{path}: not valid TOML: {_curly(text) or error}") from None


def _curly(text: str) -> str:
    for number, line in enumerate(text.split("\n"), 1):
        found = CURLY_QUOTES.search(line.partition("#")[0])
        if found:
            return f"a curly quote ({found[0]}) in line {number}; write straight ones (\" or ')"
    return ""
