"""docs/troubleshooting.md has an entry for every refusal and every code in the log, found by its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.support import refusals
from tests.support.sources import python_files


def page() -> str:
    return refusals.PAGE.read_text(encoding="utf-8")


def test_every_refusal_of_the_source_is_on_the_page_and_no_other() -> None:
    assert page().partition(refusals.MARK)[2].strip() == refusals.generated().strip(), (
        "run: python -m tests.support.refusals"
    )


def attention_codes() -> set[str]:
    """Codes of messages at the levels warning and error."""
    found = set()
    for top in ("edge", "dashboard"):
        for path in python_files(ROOT / top):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="log"), attr="warning" | "error" | "exception"),
                        args=[ast.Constant(value=str(text)), *_],
                    ):
                        found |= set(re.findall(r"\A\[([a-z_]+)\] ", text))
    return found


def test_every_code_that_calls_for_attention_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| .+ \| .+ \|$", page(), re.MULTILINE)
    assert sorted(rows) == sorted(attention_codes())


@pytest.mark.parametrize(
    "source",
    [
        'raise UserError(f"{path}: cannot be read ({why})")',
        'text = f"{path}: cannot be read ({why})"\n    raise UserError(text)',
    ],
)
def test_a_message_is_found_with_marks_for_what_is_filled_in(
    source: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "edge").mkdir()
    (root / "edge" / "a.py").write_text(f"def f(path, why):\n    {source}\n")
    monkeypatch.setattr(refusals, "ROOT", root)
    assert refusals.refusals_of("edge", {"UserError"}) == ["…: cannot be read (…)"]


def strerrors() -> Iterator[str]:
    for top in ("edge", "dashboard", "provisioning", "training"):
        for path in python_files(ROOT / top):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Attribute) or node.attr != "strerror" or path.name == "errors.py":
                    continue
                if not (isinstance(node.value, ast.Name) and node.value.id == "os"):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_no_message_can_end_in_none() -> None:
    """`OSError.strerror` is None for many errors of sockets: `edge.util.errors.reason` has words for all."""
    assert list(strerrors()) == []
