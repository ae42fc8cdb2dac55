"""Rewrites a configuration file of an earlier version: keys that were renamed get their present names.

Comments and the order of the file are kept. Only `install.sh` does this; everything else refuses an old key with an
error that names the new one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT, Comment, InlineTable, Item, Table

from edge.config.load import RENAMED

VALUES: Final = {("audio.source", "wav"): "playback"}
"""Values of earlier versions, by present key, and their present names."""
DROPPED: Final = {("updates.validation_socket", "/run/roomtone/gate.sock")}
"""A default of an earlier version that was written out: nothing listens there any more."""
Tree = dict[str, Any]


def rewrite(text: str) -> tuple[str, list[str]]:
    """Rename the keys of earlier versions in a configuration file.

    Returns the new text and one line about each change; without changes the text is returned as it is. Where the file
    has both the old and the new name of a key, the value of the new one is kept. Raises `tomllib.TOMLDecodeError`.
    """
    wanted, changes = _renamed(tomllib.loads(text))
    if not changes:
        return text, []
    new = _keeping_comments(text)
    if new is None or tomllib.loads(new) != wanted:
        # An unusual way to write it, such as the same section in two places: correct, but without the comments.
        new = tomlkit.dumps(wanted)
    return new, changes


def _renamed(tree: Tree) -> tuple[Tree, list[str]]:
    """The values under their present names, and one line about each change."""
    found: Tree = {}
    changes: list[str] = []
    for old, new, value in _settings(tree):
        if old != new and _get(tree, new) is not None:
            changes.append(f"removed `{old}`: `{new}` is set as well, and counts")
            continue
        if _is(DROPPED, new, value):
            changes.append(f"removed `{old}` ({value}): the default has changed")
            continue
        if old != new:
            changes.append(f"renamed `{old}` to `{new}`")
        if _is(VALUES, new, value):
            changes.append(f"renamed the value of `{new}` from {value!r} to {VALUES[new, value]!r}")
        _set(found, new, VALUES[new, value] if _is(VALUES, new, value) else value)
    return found, changes


def _is(known: Any, key: str, value: object) -> bool:
    return isinstance(value, str) and (key, value) in known


def _settings(tree: Tree) -> Iterator[tuple[str, str, Any]]:
    """Old key, present key and value of every setting; a section without any is a setting by itself."""
    for section, keys in tree.items():
        if not isinstance(keys, dict) or not keys:
            yield section, RENAMED.get(section, section), keys
            continue
        for key, value in keys.items():
            dotted = f"{section}.{key}"
            yield dotted, RENAMED.get(dotted, f"{RENAMED.get(section, section)}.{key}"), value


def _get(tree: Tree, dotted: str) -> Any:
    section, _, key = dotted.partition(".")
    keys = tree.get(section)
    return keys.get(key) if key and isinstance(keys, dict) else None if key else keys


def _set(tree: Tree, dotted: str, value: Any) -> None:
    section, _, key = dotted.partition(".")
    if not key:
        tree.setdefault(section, value)
    else:
        tree.setdefault(section, {})[key] = value


def _keeping_comments(text: str) -> str | None:
    """The same changes in the text; None where the document cannot be rebuilt."""
    old = tomlkit.parse(text)
    values = old.unwrap()
    new = tomlkit.document()
    try:
        for key, item in old.body:
            if key is not None and isinstance(item, Table | InlineTable):
                section = _Section(key.key, values)
                new.append(section.present, section.rebuilt(item))
            elif isinstance(item, AoT):
                return None
            else:
                new.append(key, item)
    except (tomlkit.exceptions.TOMLKitError, KeyError, ValueError):
        return None
    return new.as_string()


class _Section:
    """One section of the old document; `values` are those of the whole document."""

    def __init__(self, name: str, values: Tree) -> None:
        self._name = name
        self._values = values
        self.present = RENAMED.get(name, name)

    def rebuilt(self, item: Table | InlineTable) -> Table | InlineTable:
        """The section with the present names of its keys."""
        if isinstance(item, InlineTable):
            inline = tomlkit.inline_table()
            for name, value in item.items():
                self._put(inline, name, name, value)
            return inline
        table = tomlkit.table()
        for key, value in item.value.body:
            if key is not None:
                self._put(table, key, key.key, value)
            else:
                table.append(None, self._comment(value) if isinstance(value, Comment) else value)
        table.trivia.indent, table.trivia.comment_ws = item.trivia.indent, item.trivia.comment_ws
        table.trivia.comment, table.trivia.trail = item.trivia.comment, item.trivia.trail
        return table

    def _put(self, table: Table | InlineTable, key: Any, name: str, value: Any) -> None:
        old = f"{self._name}.{name}"
        dotted = RENAMED.get(old, f"{self.present}.{name}")
        plain = value.unwrap() if isinstance(value, Item) else value
        if _is(DROPPED, dotted, plain) or (dotted != old and _get(self._values, dotted) is not None):
            return
        if _is(VALUES, dotted, plain):
            present = tomlkit.item(VALUES[dotted, plain])
            if isinstance(value, Item):
                present.trivia.comment_ws, present.trivia.comment = (
                    value.trivia.comment_ws,
                    value.trivia.comment,
                )
            value = present
        new = dotted.partition(".")[2]
        table.append(key if name == new else new, value)

    def _comment(self, line: Comment) -> Comment:
        """A default that is written as a comment (`#adapt = true`), under its present name."""
        found = re.match(r"(#\s*)(\w+)(\s*=.*)", line.trivia.comment)
        if found and (new := RENAMED.get(f"{self._name}.{found[2]}")):
            line.trivia.comment = f"{found[1]}{new.partition('.')[2]}{found[3]}"
        return line
