"""`--config FILE` and `--set KEY=VALUE`, alike for every process of the device."""

from __future__ import annotations

import argparse
import contextlib
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.config.load import SYSTEM_CONFIG, ConfigError, load
from edge.config.settings import Config


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds the two options; `config_from` reads them."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration (TOML); without it every default holds"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="one setting that outweighs the file, e.g. --set node.id=kitchen; may be given again",
    )


def config_from(options: argparse.Namespace, installed: bool = False) -> Config:
    """The configuration that the command line asks for; else, if `installed`, the one of this box.

    Raises `ConfigError`.
    """
    path = options.config
    if path is None and installed and SYSTEM_CONFIG.is_file():
        path = SYSTEM_CONFIG
    return load(path, overrides(options.settings))


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """`["mqtt.port=1884"]` as `{"mqtt.port": 1884}`. Raises `ConfigError` where `=` or the section is missing."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        section, _, name = key.partition(".")
        if not (equals and section and name):
            raise ConfigError(f"--set {setting!r}: write SECTION.KEY=VALUE, for example node.id=kitchen")
        found[key] = _fitting(_value(text), text, section, name)
    return found


def _fitting(value: Any, text: str, section: str, name: str) -> Any:
    """The text where the setting is text and the value is not: `mqtt.version=5` and `node.id=7` need no quotes."""
    struct = typing.get_type_hints(Config).get(section)
    wanted = typing.get_type_hints(struct, include_extras=True).get(name) if struct else None
    if wanted is None or isinstance(value, str):
        return value
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert(text, wanted)
            return text
    return value


def _value(text: str) -> Any:
    """A TOML value where the text is one (`1884`, `true`, `"1"`), else the text itself: no quotes needed."""
    try:
        tree = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text could smuggle in further keys: then the text is only text.
    return tree["value"] if len(tree) == 1 else text
