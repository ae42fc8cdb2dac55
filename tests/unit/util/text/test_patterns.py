"""Nobody reads a regular expression: each pattern has words, and each error of msgspec is shown with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest

from edge.config.join_file import Join, Models
from edge.config.settings import BaseTopic, HttpsUrl
from edge.protocol import Command, NodeId
from edge.util.text.patterns import in_words, pattern
from provisioning.fleet.records import SiteSettings
from provisioning.publish.catalogue import About
from tests.conftest import ROOT
from tests.support.sources import python_files

Quoted = Annotated[str, pattern("""^'a"b\\\\[x]\\Z""", "with quotes")]


def refusal(tree: Any, kind: Any, *, shown: bool = True) -> str:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(tree, kind)
    return in_words(raised.value, tree if shown else None)


@pytest.mark.parametrize(
    ("tree", "kind", "text"),
    [
        (
            {"url": "http://hub"},
            About,
            '`url` must be an address that begins with https://, not "http://hub"',
        ),
        (
            {"url": "https://hub", "groups": {"up": ["attic", "Bad Name"]}},
            About,
            'each of `groups` must be 1 to 64 of a-z, 0-9, `_` and `-`, not "Bad Name"',
        ),
        (
            {"name": "a/b", "hosts": ["x"]},
            SiteSettings,
            '`name` must be 1 to 48 of A-Z, a-z, 0-9, space, `.`, `_` and `-`, not "a/b"',
        ),
        (
            {"transaction": "1", "sent_at": "today"},
            Command,
            '`sent_at` must be a time of RFC 3339 such as 2026-01-31T10:00:00Z, not "today"',
        ),
        (
            {"x": {"url": "ftp://x"}},
            dict[str, Models],
            'each of the value must be an address that begins with https://, not "ftp://x"',
        ),
        ("#", BaseTopic, "the value must be a topic level or several"),
        ({"A": 1}, dict[NodeId, int], 'a key of the value must be 1 to 64 of a-z, 0-9, `_` and `-`, not "A"'),
        ({"q": "x"}, msgspec.defstruct("Q", [("q", Quoted)]), '`q` must be with quotes, not "x"'),
    ],
)
def test_a_pattern_is_told_in_words_with_what_was_refused(tree: Any, kind: Any, text: str) -> None:
    assert refusal(tree, kind).startswith(text)


def test_a_field_in_another_one_is_named_with_its_way() -> None:
    outer = msgspec.defstruct("Outer", [("models", msgspec.defstruct("Inner", [("url", HttpsUrl)]))])
    text = refusal({"models": {"url": "http://x"}}, outer)
    assert text == '`models.url` must be an address that begins with https://, not "http://x"'


def test_what_comes_from_others_is_not_shown_and_what_is_long_is_cut() -> None:
    assert refusal({"url": "secret"}, About, shown=False).endswith("begins with https://")
    assert len(refusal({"url": "x" * 500}, About)) < 150


def test_other_errors_stay_as_they_are() -> None:
    assert "missing required field" in refusal({}, Join)
    assert in_words(OSError("no space")) == "no space"


def trees() -> Iterator[tuple[str, ast.AST]]:
    for top in ("edge", "dashboard", "provisioning"):
        for path in python_files(ROOT / top):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def test_every_pattern_has_words() -> None:
    bare = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Meta"
        and any(keyword.arg == "pattern" for keyword in node.keywords)
    ]
    assert [place for place in bare if not place.startswith("edge/util/text/patterns.py")] == []


def shown(handler: ast.ExceptHandler) -> Iterator[int]:
    """Lines where the error is shown as it is: in an f-string, as `str(error)` or as an argument of a log."""
    for node in ast.walk(handler):
        parts: list[ast.expr] = []
        match node:
            case ast.FormattedValue(value=value):
                parts = [value]
            case ast.Call(func=ast.Name(id="str") | ast.Attribute(value=ast.Name(id="log"))):
                parts = node.args
        yield from (part.lineno for part in parts if isinstance(part, ast.Name) and part.id == handler.name)


def test_every_error_of_msgspec_that_is_shown_is_told_in_words() -> None:
    handlers = [
        (path, node)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and node.name
        and node.type is not None
        and re.search(r"msgspec\.\w*Error", ast.unparse(node.type))
    ]
    assert len(handlers) > 10
    assert [f"{path}:{line}" for path, handler in handlers for line in shown(handler)] == []
