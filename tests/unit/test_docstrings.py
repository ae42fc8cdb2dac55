"""Public functions over arrays say in their docstring what shape an array has, and its dtype or unit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.sources import python_files

PARTS = ("edge", "training", "dashboard", "provisioning")
SHAPE = re.compile(r"`?\[[a-zA-Z0-9_.,*/+ -]+\]`?")
"""Such as `[n]`, `[512]`, `[1, window_frames, mels]`, `[n, ...]`."""
KIND = re.compile(r"\b(u?int(8|16|32|64)?|float(32|64)?|bool|logits|dB(FS)?|k?Hz|m?s|any dtype)\b")
"""A dtype or a unit."""


def aliases_in(tree: ast.Module) -> set[str]:
    """Names of this module that stand for an array type, such as `Samples = NDArray[np.int16]`."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and "NDArray" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def array_functions(tree: ast.Module, aliases: set[str]) -> Iterator[ast.FunctionDef]:
    """Public functions and methods whose annotations have an array in them."""
    pattern = re.compile(rf"\b({'|'.join(['NDArray', 'ArrayLike', *sorted(aliases)])})\b")

    def walk(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from walk(node.body)
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                annotations = [a.annotation for a in (*node.args.args, *node.args.kwonlyargs)]
                hints = [ast.unparse(hint) for hint in (*annotations, node.returns) if hint is not None]
                if any(pattern.search(hint) for hint in hints):
                    yield node

    yield from walk(tree.body)


def undocumented(source: str, aliases: set[str]) -> list[str]:
    """Names of the public functions over arrays whose docstring lacks a shape, or a dtype or unit."""
    tree = ast.parse(source)
    return [
        f"{node.name}:{node.lineno}"
        for node in array_functions(tree, aliases | aliases_in(tree))
        if not (SHAPE.search(doc := ast.get_docstring(node) or "") and KIND.search(doc))
    ]


def sources() -> list[Path]:
    return python_files(*(ROOT / part for part in PARTS))


def test_array_functions_state_shape_and_dtype_or_unit() -> None:
    aliases = {"Samples", "Float", "Vector", "Int16"}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        for name in undocumented(path.read_text(encoding="utf-8"), aliases)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("signature", "doc", "complaint"),
    [
        ("f(x: NDArray[np.float32]) -> float", "The level.", True),
        ("f(x: NDArray[np.float32]) -> float", "The level of samples `[n]`.", True),
        ("f(x: NDArray[np.float32]) -> float", "The level of samples, float32 `[n]`.", False),
        ("f(x: Samples) -> float", "The level of int16 samples `[n]`, in dBFS.", False),
        ("f() -> list[NDArray[Any]]", "Windows.", True),
        ("f(x: float) -> float", "No array.", False),
        ("_f(x: NDArray[Any]) -> None", "Private.", False),
    ],
)
def test_the_lint_finds_what_is_missing(signature: str, doc: str, complaint: bool) -> None:
    source = f'def {signature}:\n    """{doc}"""\n'
    assert bool(undocumented(source, {"Samples"})) == complaint
