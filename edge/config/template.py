"""Writes TOML: `roomtone.toml` with every key explained, and plain documents of settings.

A key with its default value is written as a comment, so that a later version may choose a better default.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from edge.config.load import load
from edge.config.reference import Section, Setting, sections

WIDTH: Final = 108
_HEAD: Final = """\
Roomtone: all settings of this device, with their meaning, bounds and defaults.
A line that begins with `#` and has a key shows the default: remove the `#` to set another value. Unknown keys and
values out of bounds are refused. After a change: sudo systemctl restart roomtone-ear roomtone-link
"""


def render(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of `roomtone.toml` with these values (`{"node": {"id": "kitchen"}}`).

    Raises `ConfigError` if they are not valid.
    """
    load(overrides={f"{part}.{key}": value for part, keys in values.items() for key, value in keys.items()})
    document = tomlkit.document()
    for line in _HEAD.splitlines():
        document.add(tomlkit.comment(line))
    for section in sections():
        document.add(tomlkit.nl())
        document.add(section.name, _table(section, values.get(section.name, {})))
    return document.as_string()


def document_of(settings: Mapping[str, Any]) -> TOMLDocument:
    """A document of settings given by dotted keys: `{"node.id": "kitchen"}` as `[node]` and `id = "kitchen"`."""
    document = tomlkit.document()
    for dotted, value in settings.items():
        section, _, key = dotted.partition(".")
        if section not in document:
            document.add(section, tomlkit.table())
        table = document[section]
        assert isinstance(table, Table)
        table.add(key, value)
    return document


def _table(section: Section, values: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    _add_comment(table, section.doc)
    for setting in section.settings:
        _add_comment(table, f"{setting.doc} {f'({setting.bounds})' if setting.bounds else ''}".strip())
        if setting.key in values:
            table.add(setting.key, _item(values[setting.key]))
        else:
            # Without tomlkit's space after the `#`, so that removing the `#` alone sets the value.
            comment = tomlkit.comment("")
            comment.trivia.comment = f"#{_default_line(setting)}"
            table.add(comment)
    return table


def _default_line(setting: Setting) -> str:
    if setting.default is None:
        return f"{setting.key} = ..."
    return f"{setting.key} = {_item(setting.default).as_string()}"


def _item(value: Any) -> Any:
    return tomlkit.item(list(value) if isinstance(value, tuple) else value)


def _add_comment(table: Table, text: str) -> None:
    for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False):
        table.add(tomlkit.comment(line))
