"""The retired words of docs/glossary.md are used neither in names nor in messages, comments or documentation."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.auth.accounts import UserRole
from tests.conftest import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
FOLDERS = ("edge", "training", "dashboard", "provisioning", "docs", "README.md")
PROSE_SUFFIXES = (".md", ".sh", ".ts", ".toml", ".service", ".yml", ".yaml")


@dataclass(frozen=True)
class Retired:
    """The glossary's second table: what must not be in prose, what not in names, and which names are excepted."""

    everywhere: re.Pattern[str]
    names: re.Pattern[str]
    exceptions: frozenset[str]


def pattern(words: list[str]) -> re.Pattern[str]:
    """Any of these words, whole; a `*` stands for any ending."""
    choices = "|".join(re.escape(word).replace(r"\*", "[a-z]*") for word in words)
    return re.compile(rf"(?<![a-z0-9])(?:{choices})(?![a-z0-9])", re.IGNORECASE)


def glossary() -> Retired:
    everywhere: list[str] = []
    names: list[str] = []
    exceptions: list[str] = []
    for line in GLOSSARY.read_text(encoding="utf-8").partition("## Retired words")[2].splitlines():
        cells = line.strip("|").split("|")
        words = re.findall(r"`([^`]+)`", cells[0]) if len(cells) == 4 else []
        if words:
            where = cells[2].strip()
            assert where in ("everywhere", "names"), line
            names += words
            everywhere += words if where == "everywhere" else []
            exceptions += re.findall(r"`([^`]+)`", cells[3])
    return Retired(pattern(everywhere), pattern(names), frozenset(exceptions))


def words_of(identifier: str) -> str:
    """`setUpBox` and `set_up_box` both read `set up box`."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", identifier)).lower()


def names_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What this file names itself: functions, classes, arguments, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def prose_in(source: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings, messages (strings with a space in them) and comments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def uses_in(source: str, suffix: str, retired: Retired) -> list[tuple[int, str]]:
    """Line and text of every use of a retired word."""
    names: list[tuple[int, str]] = []
    if suffix == ".py":
        tree = ast.parse(source)
        names, prose = list(names_in(tree)), list(prose_in(source, tree))
    else:
        prose = list(enumerate(source.splitlines(), 1))
    found = [(line, match[0]) for line, text in prose for match in retired.everywhere.finditer(text)]
    found += [(line, name) for line, name in names if is_retired(name, retired)]
    return sorted(found)


def is_retired(name: str, retired: Retired) -> bool:
    return bool(retired.names.search(words_of(name))) and name.strip("_") not in retired.exceptions


def files_of(folder: str) -> list[Path]:
    place = ROOT / folder
    if place.is_file():
        return [place]
    found = (
        path for path in place.rglob("*") if path.suffix in (".py", *PROSE_SUFFIXES) and path != GLOSSARY
    )
    return sorted(path for path in found if not {"node_modules", "static"} & set(path.parts))


@pytest.mark.parametrize("folder", FOLDERS)
def test_retired_words_are_not_used(folder: str) -> None:
    retired = glossary()
    found = []
    for path in files_of(folder):
        place = str(path.relative_to(ROOT))
        uses = uses_in(path.read_text(encoding="utf-8"), path.suffix, retired)
        uses += [(0, path.stem)] if is_retired(path.stem, retired) else []
        found += [f"{place}:{line}: {word}" for line, word in uses]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "def _obey(): ...",
        "class RoomMoods: ...",
        "def f(tell_all): ...",
        "self.twin = 1",
        "x = 'no room for the pupil'",
        "x = f'{1} strangers in the room'",
        "# whoever reads this",
        'def f():\n    """A box."""',
    ],
)
def test_a_retired_word_is_found_wherever_it_stands(source: str) -> None:
    assert uses_in(source, ".py", glossary())


@pytest.mark.parametrize("source", ["def obtain(): ...", "x = 'a sandbox'", "x = y.tell()", "x = 'tell'"])
def test_parts_of_words_and_the_names_of_others_are_no_use(source: str) -> None:
    assert not uses_in(source, ".py", glossary())


def test_the_glossary_has_the_roles_that_a_user_may_have() -> None:
    (row,) = [
        line
        for line in GLOSSARY.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and "roles of a user" in line
    ]
    assert set(row.split("|")[1].strip().split(", ")) == set(typing.get_args(UserRole))
