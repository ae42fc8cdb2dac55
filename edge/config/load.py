"""Reads and validates the configuration file (TOML).

`load` merges, in increasing priority: the defaults of `edge.config.settings`, the file, and the overrides of the
command line (`{"node.id": "kitchen"}`). An unknown key or a value out of bounds is an error. An empty file is valid.

    config = load(SYSTEM_CONFIG, {"node.id": "kitchen"})
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Meta, Struct

from edge.config.settings import RESERVED_IDS, Config
from edge.util.errors import UserError
from edge.util.text.patterns import words_of
from edge.util.text.text_file import read_toml

MAX_SOCKET_BYTES: Final = 107
"""What Linux allows, without the zero at the end."""

RENAMED: Final = {
    "room": "baseline",
    "room.adapt": "baseline.enabled",
    "room.memory": "baseline.memory",
    "audio.room": "audio.playback_dir",
    "updates.gate_socket": "updates.validation_socket",
}
"""Keys of earlier versions and their present names."""


class ConfigError(UserError):
    """The configuration is invalid; the text names the place and the remedy."""


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read and validate the configuration. Raises `ConfigError`."""
    tree: dict[str, Any] = {}
    where = "command line"
    if path is not None:
        where = str(path)
        tree = _read(path)
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        tree.setdefault(section, {})[key] = value
    _refuse_unknown(tree, Config, where, "")
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_describe(error, tree)}") from None
    _refuse_contradictions(config, where)
    return config


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(f"{path}: no such file; create it, or name another one with --config")
    try:
        return read_toml(path)
    except UserError as error:
        raise ConfigError(str(error)) from None


def _refuse_unknown(tree: Mapping[str, Any], struct: type[Struct], where: str, prefix: str) -> None:
    fields = {f.name: f.type for f in msgspec.structs.fields(struct)}
    for key, value in tree.items():
        place = f"{prefix}{key}"
        if place in RENAMED:
            raise ConfigError(f"{where}: {_renamed(place, value)}")
        if key not in fields:
            import difflib  # used for an error only, like the other imports within functions here

            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean `{prefix}{near[0]}`?" if near else f"known: {', '.join(sorted(fields))}"
            raise ConfigError(f"{where}: unknown key `{place}`; {hint}")
        inner = fields[key]
        if isinstance(inner, type) and issubclass(inner, Struct):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: `{place}` is a section: write `[{place}]` and its keys below it")
            _refuse_unknown(value, inner, where, f"{place}.")


def _renamed(place: str, value: object) -> str:
    """The error text for a key of an earlier version; of a section, for its first key."""
    inner = f"{place}.{next(iter(value))}" if isinstance(value, Mapping) and value else place
    old = inner if inner in RENAMED else place
    return f"`{old}` is now `{RENAMED[old]}`: rename it"


_REMEDIES = {
    "node.id": "use 1 to 64 of a-z, 0-9, `_` and `-` (no slash, no capital letters)",
    "node.base_topic": "a topic level or several: not empty, no `#`, no `+`, no slash at the beginning",
    "audio.source": 'write "microphone" or "playback" (formerly "wav")',
    "audio.quiet_hours": 'write spans of local time: ["22:00-07:00"]',
    "updates.url": "an address that begins with https://, as `roomtone fleet keys show` says",
    "mqtt.host": "a host name or an address alone; the port is `mqtt.port`, TLS is `mqtt.tls = true`",
}


def _describe(error: msgspec.ValidationError, tree: Mapping[str, Any]) -> str:
    """Name the key, the value that was refused, and what is allowed or the remedy where one is known."""
    found = re.fullmatch(r".* - at `\$\.(?P<section>\w+)\.(?P<key>\w+).*`", str(error))
    if found is None:
        return str(error)
    section, key = found["section"], found["key"]
    import textwrap

    value = textwrap.shorten(_toml(tree[section].get(key)), 60, placeholder="...")
    struct: Any = typing.get_type_hints(Config)[section]
    dotted = f"{section}.{key}"
    remedy = _REMEDIES.get(dotted) or (
        f"write {_allowed(typing.get_type_hints(struct, include_extras=True)[key])} "
        f"(default: {_toml(getattr(struct(), key, None))})"
    )
    return f"`{dotted}`: {value} is not allowed; {remedy}"


def _allowed(hint: Any) -> str:
    """Describe the values of a type in the words of TOML."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _allowed(arguments[0]) + ("" if typing.get_origin(arguments[0]) else _limits(arguments[1]))
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin in (tuple, list):
        return f"a list in brackets, each {_allowed(arguments[0])}"
    if arguments:
        return " or ".join(_allowed(one) for one in arguments if one is not type(None))
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
    return names.get(hint, "another value")


def _toml(value: Any) -> str:
    import json

    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _limits(meta: Meta) -> str:
    if meta.pattern is not None:
        return f": {words_of(meta)}"
    if meta.max_length is not None:
        return f" of at most {meta.max_length} characters"
    low = f" from {meta.ge:g}" if meta.ge is not None else "" if meta.gt is None else f" above {meta.gt:g}"
    high = f" up to {meta.le:g}" if meta.le is not None else "" if meta.lt is None else f" below {meta.lt:g}"
    return low + high


def _refuse_contradictions(config: Config, where: str) -> None:
    for key, path in (
        ("runtime.socket", config.runtime.socket),
        ("updates.service_socket", config.updates.service_socket),
        ("updates.validation_socket", config.updates.validation_socket),
    ):
        size = len(path.encode(errors="surrogatepass"))
        if size > MAX_SOCKET_BYTES:
            raise ConfigError(
                f"{where}: `{key}`: a path of {size} bytes; the path of a socket has at most {MAX_SOCKET_BYTES}, "
                "and a letter with an accent counts twice: choose a shorter one"
            )
    audio, vad, segmenter, mqtt = config.audio, config.vad, config.segmenter, config.mqtt
    problems = (
        (
            config.node.id in RESERVED_IDS,
            f"`node.id`: {config.node.id!r} is reserved for all devices together; choose another id",
        ),
        (
            audio.source == "playback" and not audio.playback_dir,
            '`audio.playback_dir` must name a folder when `audio.source` is "playback"',
        ),
        (vad.offset > vad.onset, "`vad.offset` must not be above `vad.onset`"),
        (
            segmenter.min_speech_ms >= segmenter.max_speech_ms,
            "`segmenter.min_speech_ms` must be below `segmenter.max_speech_ms`",
        ),
        (
            bool(mqtt.cert_file) != bool(mqtt.key_file),
            "`mqtt.cert_file` and `mqtt.key_file` belong together: give both or neither",
        ),
        (
            config.button.led is not None and config.button.led == config.button.pin,
            "`button.led` and `button.pin` must be two pins",
        ),
        (
            bool(config.updates.url) != bool(config.updates.root_file),
            "`updates.url` and `updates.root_file` belong together: the file has the keys that verify releases",
        ),
        (
            bool(mqtt.ca_file or mqtt.cert_file) and not mqtt.tls,
            "`mqtt.ca_file` and `mqtt.cert_file` need `mqtt.tls = true`",
        ),
    )
    for broken, text in problems:
        if broken:
            raise ConfigError(f"{where}: {text}")
    # `a//b` and a trailing slash make empty topic levels, which no subscriber expects.
    if "" in config.node.base_topic.split("/"):
        raise ConfigError(f"{where}: `node.base_topic`: {_REMEDIES['node.base_topic']}, no empty level")
    if config.node.base_topic.startswith("$"):
        raise ConfigError(
            f"{where}: `node.base_topic`: topics that begin with `$` are reserved for the broker"
        )
