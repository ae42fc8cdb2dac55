"""Small text files that people write: whatever editor they used, the text is understood or the refusal says what to do.

Editors add byte order marks, end lines with CR LF, save as UTF-16, or replace quotes by curly ones.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError, reason

MAX_BYTES: Final = 1 << 20
LOOKALIKES: Final = {
    "a curly quote": (
        "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2039\u203a\u00ab\u00bb\uff02",
        "straight ones (\" or ')",
    ),
    "a wide equals sign": ("\uff1d\ufe66", "a plain ="),
    "a long dash": ("\u2010\u2011\u2012\u2013\u2014\u2212", "a plain -"),
    "a special space": ("\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000", "a plain space"),
    "an invisible character": ("\u200b-\u200f\u2060\ufeff\u00ad", "nothing in its place"),
}
"""What editors and web pages put in the place of plain characters, and what to write."""
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
        text = "\0"
    # Zero bytes are of UTF-16 without its mark, of UTF-32, or of no text at all.
    if "\0" in text:
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
    import tomllib  # not for those who only import this module: classifying a file reads no configuration

    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Not only TOMLDecodeError: 5,000 digits or 1,000 brackets raise other exceptions.
        raise UserError(f"{path}: not valid TOML: {_lookalike(text) or _hint(str(error))}") from None


def _lookalike(text: str) -> str:
    for number, line in enumerate(text.split("\n"), 1):
        for name, (characters, plain) in LOOKALIKES.items():
            found = re.search(f"[{characters}]", line.partition("#")[0])
            if found:
                shown = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
                return f"{name} ({shown}) in line {number}; write {plain}"
    return ""


def _hint(error: str) -> str:
    return (
        f'{error}; a text stands in straight quotes: key = "text"'
        if error.startswith("Invalid value")
        else error
    )
