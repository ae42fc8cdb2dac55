"""What happens to files: a full disk, a power cut, a foreign editor, another version of the program."""

from __future__ import annotations

import codecs
import sqlite3
from pathlib import Path


def truncated(path: Path) -> None:
    path.write_bytes(b"")


def random_bytes(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def byte_order_mark(path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


def utf_16(path: Path) -> None:
    path.write_bytes(path.read_bytes().decode("latin-1").encode("utf-16"))


def other_version(path: Path) -> None:
    """Of another version of Roomtone: another structure."""
    if path.read_bytes().startswith(b"SQLite format 3"):
        path.unlink()
        with sqlite3.connect(path) as table:
            table.execute("create table event (number integer primary key, body blob)")
        table.close()
    else:
        path.write_bytes(b'{"format":99,"v":99,"from":"the future"}')


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


DAMAGES = (truncated, random_bytes, half, byte_order_mark, utf_16, other_version, deep)
