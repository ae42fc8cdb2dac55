"""Configuration files of earlier versions are rewritten by the installer, with their comments."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.load import RENAMED, ConfigError, load
from provisioning.device.renamed_keys import rewrite

OLD = """\
# Written by the owner.
[node]
id = "kitchen" # a remark

[room]
# how it adapts
adapt = false  # because
#memory = 300
#adapt = true

[audio]
source = "wav" # files
room = "/srv/voices"
#room = ""

[updates]
gate_socket = "/run/roomtone/gate.sock"
channel = "beta"
"""


def test_old_keys_get_their_new_names_and_comments_stay(tmp_path: Path) -> None:
    new, changes = rewrite(OLD)
    assert tomllib.loads(new) == {
        "node": {"id": "kitchen"},
        "baseline": {"enabled": False},
        "audio": {"source": "playback", "playback_dir": "/srv/voices"},
        "updates": {"channel": "beta"},
    }
    for line in ("# Written by the owner.", 'id = "kitchen" # a remark', "enabled = false  # because", "#memory = 300",
                 "#enabled = true", 'source = "playback" # files', '#playback_dir = ""'):  # fmt: skip
        assert line in new.splitlines()
    assert len(changes) == 4
    file = tmp_path / "roomtone.toml"
    file.write_text(OLD)
    with pytest.raises(ConfigError):
        load(file)
    file.write_text(new)
    assert load(file).audio.playback_dir == "/srv/voices"


@pytest.mark.parametrize(
    ("old", "tree"),
    [
        ("room.adapt = false\n[node]\nid = 'x'\n", {"baseline": {"enabled": False}, "node": {"id": "x"}}),
        ("room = {adapt = false, memory = 200}\n", {"baseline": {"enabled": False, "memory": 200}}),
        ("[room]\n", {"baseline": {}}),
        ('[ room ]\n"adapt" = true\n', {"baseline": {"enabled": True}}),
        ("[room]\nadapt = true\n[baseline]\nenabled = false\n", {"baseline": {"enabled": False}}),
        ("[room]\nmemory = 200\n[baseline]\nenabled = false\n", {"baseline": {"enabled": False, "memory": 200}}),
        ("[room]\nmemory = 200\n[node]\n[baseline]\nenabled = false\n",
         {"baseline": {"enabled": False, "memory": 200}, "node": {}}),
        ("[updates]\ngate_socket = '/srv/x.sock'\n", {"updates": {"validation_socket": "/srv/x.sock"}}),
        ("audio = {source = 'wav', room = 'x'}\n", {"audio": {"source": "playback", "playback_dir": "x"}}),
    ],
)  # fmt: skip
def test_however_the_old_key_is_written(old: str, tree: dict[str, object]) -> None:
    new, changes = rewrite(old)
    assert tomllib.loads(new) == tree
    assert changes
    assert rewrite(new) == (new, [])


def test_a_file_without_old_keys_is_not_touched() -> None:
    text = (
        '[node]\nid="kitchen"   # as it is\n\n\n[baseline]\nenabled=false\n[audio]\nsource = "microphone"\n'
    )
    assert rewrite(text) == (text, [])


@given(
    st.dictionaries(st.sampled_from([key for key in RENAMED if "." in key]), st.integers(1, 9), min_size=1)
)
def test_no_key_of_an_earlier_version_is_left_and_no_value_lost(settings: dict[str, int]) -> None:
    text = "".join(f"[{key.split('.')[0]}]\n{key.split('.')[1]} = {value}\n" for key, value in settings.items()
                   if sum(other.split(".")[0] == key.split(".")[0] for other in settings) == 1)  # fmt: skip
    text += "[vad]\nonset = 0.6\n"
    new, changes = rewrite(text)
    tree = tomllib.loads(new)
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if name and f"[{section}]\n{name} =" in text:
            present, _, present_name = RENAMED[key].partition(".")
            assert tree[present][present_name] == value
            assert name not in tree.get(section, {})
            assert any(f"`{key}`" in change and f"`{RENAMED[key]}`" in change for change in changes)
    assert tree["vad"] == {"onset": 0.6}
