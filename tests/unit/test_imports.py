"""What several kinds of test need is in tests/support: nothing is imported across tests/unit, system and device."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import ROOT

KINDS = ("unit", "system", "device", "bench")


def imported(source: str) -> list[str]:
    """Modules that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_nothing_is_imported_across_the_kinds_of_test() -> None:
    found = []
    for kind in (*KINDS, "support"):
        foreign = {f"tests.{other}" for other in KINDS if other != kind}
        for path in sorted((ROOT / "tests" / kind).rglob("*.py")):
            modules = imported(path.read_text(encoding="utf-8"))
            wrong = [module for module in modules if ".".join(module.split(".")[:2]) in foreign]
            found += [f"{path.relative_to(ROOT)}: {module}" for module in wrong]
    assert found == []


def test_an_import_is_found_wherever_it_stands() -> None:
    assert "tests.unit.x" in imported("def f():\n    from tests.unit.x import y\n")
    assert "tests.unit" in imported("if True:\n    import tests.unit\n")
    assert Path(__file__).parent.name == "unit"
