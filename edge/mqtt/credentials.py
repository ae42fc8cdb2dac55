"""The password, read anew for every connection, so that a new one needs no restart."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final

from edge.mqtt.address import BrokerAddress
from edge.util.errors import UserError

LONGEST_FILE: Final = 65_536


def password(address: BrokerAddress) -> str | None:
    """Return the password of an address; None without one. Raises `UserError` for a file that cannot be used."""
    if address.password_file:
        return first_line(Path(address.password_file), address.names.password_file)
    return address.password or None


def first_line(path: Path, setting: str) -> str:
    """Return the first line of a file that holds a secret, without byte order mark and line end.

    Raises `UserError` that names `setting`, the option or key by which the file was given.
    """
    text = read_text(path, setting)
    line = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
    if not line.strip():
        raise UserError(f"{path}: its first line is empty; write the password there, see {setting}")
    return line


def read_text(path: Path, setting: str) -> str:
    """Return a small text file, in UTF-8 or, with a byte order mark, UTF-16. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); see {setting}") from None
    if len(data) > LONGEST_FILE:
        raise UserError(f"{path}: longer than {LONGEST_FILE} bytes; is it the right file for {setting}?")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text; save it as UTF-8, see {setting}") from None
