"""docs/threat-model.md names a test for every promise, and every test that it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


def test_every_promise_has_its_test() -> None:
    promises = PAGE.partition("## Promised")[2].partition("## Not promised")[0]
    rows = [line for line in promises.splitlines() if re.match(r"\| [A-I] \|", line)]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"::test_\w+` \|$", row)] == []
    attackers = set(re.findall(r"^\| ([A-I]) \|", PAGE.partition("## Promised")[0], re.MULTILINE))
    assert {row[2] for row in rows} == attackers, "an attacker without any promise"


def test_every_chapter_of_the_asvs_has_a_state_and_a_test() -> None:
    chapters = re.findall(r"^\| V(\d+) .*\| (met|partly) \|.*::test_\w+` \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in chapters] == list(range(1, 15))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_security_leads_to_the_page() -> None:
    assert "docs/threat-model.md" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
