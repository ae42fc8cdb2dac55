"""No function, file or folder is too large to read in one go."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.conftest import ROOT
from tests.support.sources import python_files

FOLDERS = ("edge", "training", "dashboard", "provisioning", "tests")
FUNCTION_LINES = 60
FILE_LINES = 350
FOLDER_MODULES = 16


def sources() -> list[Path]:
    return python_files(*(ROOT / folder for folder in FOLDERS))


def long_functions(source: str) -> list[tuple[str, int]]:
    """Name and lines of every function that is too long."""
    nodes = ast.walk(ast.parse(source))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [(name, length) for name, length in lengths if length > FUNCTION_LINES]


def test_functions_fit_on_a_page() -> None:
    found = {}
    for path in sources():
        for name, length in long_functions(path.read_text(encoding="utf-8")):
            found[f"{path.relative_to(ROOT)} {name}"] = length
    assert not found


def test_files_hold_one_concept() -> None:
    found = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    too_long = {name: lines for name, lines in found.items() if lines > FILE_LINES}
    assert not too_long


def test_folders_can_be_taken_in_at_a_glance() -> None:
    counts = Counter(str(p.parent.relative_to(ROOT)) for p in sources() if not p.name.startswith("__"))
    too_many = {folder: count for folder, count in counts.items() if count > FOLDER_MODULES}
    assert not too_many


def test_a_long_function_is_found_wherever_it_stands() -> None:
    body = "\n".join(f"        x{number} = 0" for number in range(FUNCTION_LINES))
    assert long_functions(f"class A:\n    async def f():\n{body}\n") == [("f", FUNCTION_LINES + 1)]
    assert not long_functions(f"class A:\n    def f():\n{body}\n".replace("        x0 = 0\n", ""))
