"""The options `--config FILE` and `--set KEY=VALUE`, the same for every command of a device."""

from __future__ import annotations

import argparse
import contextlib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

# The settings are not imported at the top: `roomtone --help` registers every command, and should not wait for them.
if TYPE_CHECKING:
    from edge.config.settings import Config

SYSTEM_CONFIG: Final = Path("/etc/roomtone/roomtone.toml")
"""Path of the configuration on an installed device."""


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the two options to a parser; `config_from` evaluates them."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration file (TOML); without it the defaults apply"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="override one setting, e.g. --set node.id=kitchen; may be repeated",
    )


def config_from(options: argparse.Namespace, installed: bool = False) -> Config:
    """Load the configuration that the options name, else, if `installed`, the one of this device.

    Raises `ConfigError`.
    """
    from edge.config.load import load

    path = options.config
    if path is None and installed and SYSTEM_CONFIG.is_file():
        path = SYSTEM_CONFIG
    return load(path, overrides(options.settings))


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """Parse `["mqtt.port=1884"]` to `{"mqtt.port": 1884}`. Raises `ConfigError` where `=` or the section is missing."""
    from edge.config.load import ConfigError

    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        section, _, name = key.partition(".")
        if not (equals and section and name):
            raise ConfigError(f"--set {setting!r}: write SECTION.KEY=VALUE, for example node.id=kitchen")
        found[key] = _as_setting(_value(text), text, section, name)
    return found


def _as_setting(value: Any, text: str, section: str, name: str) -> Any:
    """Use the text where the setting is a string: `mqtt.version=5` and `node.id=7` need no quotes."""
    import msgspec

    from edge.config.settings import Config

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
    """Parse a TOML value (`1884`, `true`, `"1"`); other text is a string without quotes."""
    import tomllib

    try:
        tree = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text could add further keys: then the text is a string.
    return tree["value"] if len(tree) == 1 else text
