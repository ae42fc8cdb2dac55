"""`roomtone.toml` with every key, what it does, its bounds and its default, made from `edge/config/settings.py` itself.

A key with its default value is written as a comment, so that a later version may choose a better one.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Struct

from edge.config import settings
from edge.config.load import load

WIDTH: Final = 110
_HEAD: Final = """\
# Roomtone: everything that can be set on this device, with its meaning, its bounds and its default.
# A line that begins with `#` and has a key shows the default: remove the `#` to set another value. Unknown keys and
# values out of bounds are refused. After a change: sudo systemctl restart roomtone-ear roomtone-link
"""


def render(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The file with these values set (`{"node": {"id": "kitchen"}}`). Raises `ConfigError` if they are not valid."""
    load(overrides={f"{part}.{key}": value for part, keys in values.items() for key, value in keys.items()})
    parts = [_HEAD]
    explained = _docstrings()
    for section in msgspec.structs.fields(settings.Config):
        struct: type[Struct] = section.type
        parts.append(f"\n[{section.name}]\n{_comment(inspect.cleandoc(struct.__doc__ or ''))}")
        hints = typing.get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            text = explained[struct.__name__].get(field.name, "")
            bounds = _bounds(hints[field.name])
            parts.append(_comment(f"{text} {f'({bounds})' if bounds else ''}".strip()))
            given = values.get(section.name, {})
            if field.name in given:
                parts.append(f"{field.name} = {_toml(given[field.name])}\n")
            else:
                default = field.default
                parts.append(f"#{field.name} = {_toml(default) if default is not None else '...'}\n")
    return "".join(parts)


def _docstrings() -> dict[str, dict[str, str]]:
    """The string below each field, which Python itself throws away."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(settings)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        texts = found.setdefault(node.name, {})
        for field, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                texts[field.target.id] = inspect.cleandoc(str(below.value.value)).replace("\n", " ")
    return found


def _bounds(hint: Any) -> str:
    """`0 to 60`, `silero or webrtc`, `true or false`: what a value may be."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        meta = arguments[1]
        said = []
        if meta.ge is not None or meta.gt is not None:
            low = f"{meta.ge:g}" if meta.ge is not None else f"above {meta.gt:g}"
            said.append(f"{low} to {f'{meta.le:g}' if meta.le is not None else f'below {meta.lt:g}'}")
        inner = _bounds(arguments[0])
        return ", ".join([*said, *([inner] if inner else [])])
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if hint is bool:
        return "true or false"
    return " ".join(filter(None, map(_bounds, arguments))) if arguments and origin is not tuple else ""


def _comment(text: str) -> str:
    if not text:
        return ""
    wrapped = textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")
    return "\n".join(wrapped) + "\n"


def _toml(value: Any) -> str:
    """Strings of TOML are strings of JSON; so are numbers, booleans and lists of them."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
