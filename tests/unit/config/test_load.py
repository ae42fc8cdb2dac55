from pathlib import Path

import pytest

from edge.config.load import ConfigError, load


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("[audoi]\nx = 1", "`audoi`", "did you mean `audio`?"),
        ('[audio]\ndevcie = "x"', "`audio.devcie`", "did you mean `audio.device`?"),
        ("[node]\nzzz = 1", "`node.zzz`", "known: base_topic, id, name"),
        ("audio = 3", "`audio`", "is a section"),
        ('[node]\nid = "a/b"', "`node.id`", "no slash"),
        ('[node]\nid = "a\\n"', "`node.id`", "a-z, 0-9"),
        ('[node]\nid = "fleet"', "`node.id`", "choose another id"),
        ('[node]\nbase_topic = "a/#"', "`node.base_topic`", "no `#`"),
        ('[node]\nbase_topic = "a/+/b"', "`node.base_topic`", "no `+`"),
        ('[node]\nbase_topic = ""', "`node.base_topic`", "not empty"),
        ('[node]\nbase_topic = "/a"', "`node.base_topic`", "no slash at the beginning"),
        ('[node]\nbase_topic = "a//b"', "`node.base_topic`", "no empty level"),
        ('[node]\nbase_topic = "$SYS"', "`node.base_topic`", "reserved for the broker"),
        ("[audio]\nspeed = 0", "`audio.speed`", "a number above 0 up to 100 (default: 1.0)"),
        (
            '[audio]\nchannel = "left"',
            '`audio.channel`: "left" is',
            '"mean" or "loudest" or a whole number from 1 up to 64',
        ),
        (
            "[audio]\nchannel = 0",
            "`audio.channel`: 0 is",
            '"loudest" or a whole number from 1 up to 64 (default: "mean")',
        ),
        ("[audio]\nchannel = true", "`audio.channel`: true is", "a whole number from 1 up to 64"),
        ("[baseline]\nenabled = 1", "`baseline.enabled`: 1 is", "write true or false (default: true)"),
        ("[button]\npin = 99", "`button.pin`: 99 is", "a whole number from 0 up to 27 (default: none)"),
        ('[runtime]\nlog_level = "verbose"', '"verbose" is', '"debug" or "info" or "warning" or "error"'),
        ("[node]\nname = 3", "`node.name`: 3 is", "a text in quotes of at most 64 characters"),
        ('[audio]\nquiet_hours = ["25:00"]', "`audio.quiet_hours`", "22:00-07:00"),
        ("[node]\nid = kitchen", "not valid TOML", "a text stands in straight quotes"),
        ('[audio]\nsource = "playback"', "`audio.playback_dir`", "must name a folder"),
        ("[room]\nadapt = false", "`room.adapt`", "`baseline.enabled`"),
        ("[room]\nmemory = 500", "`room.memory`", "`baseline.memory`"),
        ("[room]", "`room`", "`baseline`"),
        ('[audio]\nroom = "x"', "`audio.room`", "`audio.playback_dir`"),
        ('[audio]\nsource = "wav"', "`audio.source`", '"playback"'),
        ('[updates]\ngate_socket = "x"', "`updates.gate_socket`", "`updates.validation_socket`"),
        ("[vad]\nonset = 0.3\noffset = 0.6", "`vad.offset`", "above"),
        ('[mqtt]\ntls = true\ncert_file = "x"', "`mqtt.key_file`", "belong together"),
        ('[mqtt]\nca_file = "x"', "`mqtt.ca_file`", "tls = true"),
        ('[runtime]\nsocket = "/run/' + "ü" * 60 + '"', "`runtime.socket`", "a path of 125 bytes"),
        ('[updates]\nservice_socket = "/run/' + "ü" * 60 + '"', "`updates.service_socket`", "125 bytes"),
        ('[updates]\nvalidation_socket = "/' + "é" * 54 + '"', "`updates.validation_socket`", "109 bytes"),
        ("[mqtt", "not valid TOML", "at end of document"),
        ("a = " + "9" * 5000, "not valid TOML", "digits"),
        ("a = " + "[" * 5000, "not valid TOML", "recursion"),
    ],
)
def test_a_wrong_configuration_is_refused_with_place_and_remedy(
    tmp_path: Path, text: str, place: str, remedy: str
) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert place in message
    assert remedy in message
    assert "\n" not in message


def test_an_empty_file_is_a_valid_configuration(tmp_path: Path) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_text("")
    assert load(path) == load(None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "nowhere.toml")


def test_the_command_line_beats_the_file(tmp_path: Path) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_text('[node]\nid = "kitchen"\nname = "Kitchen"')
    config = load(path, {"node.id": "hall"})
    assert (config.node.id, config.node.name) == ("hall", "Kitchen")


def test_two_configurations_that_differ_have_different_hashes() -> None:
    assert load(None).sha256() != load(None, {"node.id": "hall"}).sha256()
    assert load(None).sha256() == load(None, {}).sha256()
