"""What is logged is one line of bounded length, whatever names from elsewhere are in it."""

from __future__ import annotations

import ast
import logging

import pytest

from edge.util.text.log_lines import MAX_CHARACTERS, LineFormatter, bounded
from tests.conftest import ROOT
from tests.support.sources import python_files


@pytest.mark.parametrize(
    "name", ["a\nERROR link: forged", "\x1b]0;title\x07", "\u202egpj.exe", "\udcff", "\x9b2J", "\u2028next"]
)
def test_a_name_cannot_forge_a_line_or_reach_the_terminal(name: str) -> None:
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "dropped: %s", (name,), None)
    line = LineFormatter("%(levelname)s link: ").format(record)
    assert line.isprintable()
    assert line.startswith("WARNING link: dropped: ")


@pytest.mark.parametrize("length", [MAX_CHARACTERS + 1, 65_535, 200_000])
def test_a_long_name_is_cut_in_its_middle(length: int) -> None:
    text = bounded("begin " + "x" * length + " end")
    assert len(text) < MAX_CHARACTERS + 40
    assert text.startswith("begin ") and text.endswith(" end")
    assert f"({length + 10 - MAX_CHARACTERS} characters)" in text


def test_a_short_text_is_unchanged() -> None:
    assert bounded("Küche: 3 events – sent") == "Küche: 3 events – sent"


def test_every_program_that_logs_uses_it() -> None:
    """A formatter of another class would write foreign names as they are."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for top in ("edge", "dashboard", "provisioning", "training")
        for path in python_files(ROOT / top)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) == "logging.Formatter"
            or (
                ast.unparse(node.func) == "logging.basicConfig"
                and not any(k.arg == "handlers" for k in node.keywords)
            )
        )
    ]
    assert found == []
