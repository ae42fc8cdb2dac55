import argparse

import pytest

from edge.config.load import ConfigError
from edge.config.options import add_config_options, config_from, overrides


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return parser.parse_args(arguments)


def test_without_options_every_default_holds():
    assert config_from(parsed()).node.id == "room-1"


def test_a_setting_outweighs_the_file(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('[node]\nid = "kitchen"\nname = "Kitchen"\n[mqtt]\nport = 1\n')
    config = config_from(parsed("--config", str(file), "--set", "node.id=hall", "--set", "mqtt.port=1884"))
    assert (config.node.id, config.node.name, config.mqtt.port) == ("hall", "Kitchen", 1884)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1884", 1884),
        ("true", True),
        ('"5"', "5"),
        ("3.1.1", "3.1.1"),
        ("kitchen", "kitchen"),
        ("a = b", "a = b"),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_value_is_toml_or_plain_text(text, value):
    assert overrides([f"mqtt.version={text}"]) == {"mqtt.version": value}


@pytest.mark.parametrize("setting", ["node.id", "node=1", "=1", ".id=1", "node.=1"])
def test_a_setting_without_section_key_or_value_is_refused_with_an_example(setting):
    with pytest.raises(ConfigError, match=r"SECTION\.KEY=VALUE"):
        overrides([setting])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("mqtt.version=5", "5"), ('mqtt.version="5"', "5"), ("node.id=7", "7"), ("node.name=true", "true")],
)
def test_a_setting_that_is_text_needs_no_quotes(setting, value):
    config = config_from(parsed("--set", setting))
    section, name = setting.partition("=")[0].split(".")
    assert getattr(getattr(config, section), name) == value
