"""Text of any editor: marks, line ends, UTF-16 and curly quotes are understood, or the refusal says what to do."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.load import load
from edge.util.errors import UserError
from edge.util.text.text_file import first_line, read_text, read_toml
from provisioning.publish import keys

TOML = '[node]\nid = "kitchen"\nname = "Küche"\n'
EDITORS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "CR LF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 with CR LF": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
}
SAVED = pytest.mark.parametrize("save", EDITORS.values(), ids=EDITORS)


@SAVED
def test_a_configuration_of_any_editor_is_read(tmp_path: Path, save: Callable[[str], bytes]) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_bytes(save(TOML))
    found = load(path)
    assert (found.node.id, found.node.name) == ("kitchen", "Küche")


@SAVED
def test_a_secret_of_any_editor_is_its_first_line(tmp_path: Path, save: Callable[[str], bytes]) -> None:
    path = tmp_path / "secret"
    path.write_bytes(save("gehéim mit Leerzeichen \nand a remark\n"))
    assert first_line(path, "--x") == "gehéim mit Leerzeichen "
    assert keys.asker(path)("root", True) == "gehéim mit Leerzeichen ".encode()


@pytest.mark.parametrize("quotes", ["“”", "‘’", "„“", "«»"])
def test_curly_quotes_are_named_with_their_line(tmp_path: Path, quotes: str) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_text(f"[node]\nid = {quotes[0]}kitchen{quotes[1]}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"curly quote .* line 2; write straight ones") as raised:
        load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("id\u00a0= 'kitchen'", r"a special space \(U\+00A0\) in line 2; write a plain space"),
        ("id \uff1d 'kitchen'", r"a wide equals sign .* in line 2; write a plain ="),
        ("\u200bid = 'kitchen'", r"an invisible character \(U\+200B\) in line 2"),
        ("id = \u20131", r"a long dash .* in line 2; write a plain -"),
        ("id = \u2033kitchen\u2033", r"a curly quote .* in line 2"),
    ],
)
def test_characters_that_look_like_plain_ones_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "roomtone.toml"
    path.write_text(f"[node]\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=words) as raised:
        load(path)
    assert raised.value.args[0].isprintable()


def test_curly_quotes_in_a_text_or_a_remark_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("# “so called”\na = '“x”'\n", encoding="utf-8")
    assert read_toml(path) == {"a": "“x”"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"caf\xe9 = 1", "save it as UTF-8"),
        (b"\xff\xfe\x00", "save it as UTF-8"),
        ("a = 1".encode("utf-16-le"), "save it as UTF-8"),
        ("a = 1".encode("utf-32"), "save it as UTF-8"),
        (b"a = 1\0\0\0", "save it as UTF-8"),
        (b"[node]\nname = \x93kitchen\x94\n", "save it as UTF-8"),
        (bytes(2 << 20), "longer than"),
    ],
    ids=[
        "Latin-1",
        "half of UTF-16",
        "UTF-16 without its mark",
        "UTF-32",
        "zeros",
        "Windows quotes",
        "large",
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    for read in (read_toml, load, lambda p: read_text(p, "--x")):
        with pytest.raises(UserError, match=words) as raised:
            read(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_and_a_folder_name_the_option(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match=r"cannot be read .*--x"):
            read_text(path, "--x")
