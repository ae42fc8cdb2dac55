"""What the documentation names exists, and its lines are short enough to be read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

GENERATED = {"docs/mqtt.md", "docs/configuration.md"}
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if str(path.relative_to(ROOT)) not in GENERATED
)
CARDS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "models").glob("*/MODEL_CARD.md"))]
FOLDERS = (
    "edge",
    "training",
    "dashboard",
    "provisioning",
    "docker",
    "tests",
    "docs",
    "models",
    ".ci",
    ".github",
)
PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, FOLDERS))})/[A-Za-z0-9_./@-]*)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#[^)\s]*)?\)")
MAX_COLUMNS = 120
# Tables cannot be wrapped, nor can addresses.
UNWRAPPABLE = re.compile(r"^\||https?://\S{80}")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose_lines(page: str) -> list[tuple[int, str]]:
    """The lines outside of code blocks."""
    found, fenced = [], False
    for number, line in enumerate(text_of(page).splitlines(), 1):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            found.append((number, line))
    return found


def slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    missing = [
        path
        for path in PATH.findall(text_of(page))
        if not (ROOT / path).exists() and not list(ROOT.glob(f"{path}*"))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_page_or_a_heading_leads_somewhere(page: str) -> None:
    broken = []
    for line in (line for _, line in prose_lines(page)):
        for match in LINK.finditer(line):
            target = (ROOT / page).parent / match[1] if match[1] else ROOT / page
            heading = match[0].partition("#")[2].rstrip(")")
            if not target.exists():
                broken.append(match[0])
            elif heading and target.suffix == ".md":
                headings = {slug(h.lstrip("#")) for _, h in _headings(target)}
                if heading not in headings:
                    broken.append(match[0])
    assert broken == []


def _headings(target: Path) -> list[tuple[int, str]]:
    lines = prose_lines(str(target.relative_to(ROOT)) if target.is_relative_to(ROOT) else str(target))
    return [(number, line) for number, line in lines if line.startswith("#")]


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short(page: str) -> None:
    long = [
        number
        for number, line in prose_lines(page)
        if len(line) > MAX_COLUMNS and not UNWRAPPABLE.search(line)
    ]
    assert long == []


def ragged(lines: list[tuple[int, str]]) -> list[int]:
    """Lines of tables that have another number of columns than the line under the head: a reader would not see them."""
    found, columns = [], 0
    for (number, line), (_, following) in itertools.pairwise([*lines, (0, "")]):
        cells = len(re.findall(r"(?<!\\)\|", line))
        if line.startswith("|") and re.match(r"\|[ :|-]+\|$", following):
            columns = len(re.findall(r"\|", following))
        if not line.startswith("|"):
            columns = 0
        elif columns and cells != columns:
            found.append(number)
    return found


@pytest.mark.parametrize("page", [*PAGES, *CARDS])
def test_tables_have_as_many_columns_in_every_line(page: str) -> None:
    assert ragged(prose_lines(page)) == []


def test_a_line_with_a_column_too_few_is_found() -> None:
    table = ["| a | b |", "|---|---|", "| 1 | 2 |", "| 1 |", "", "| a |", "|---|", r"| a \| b |"]
    assert ragged(list(enumerate(table, 1))) == [4]
    assert ragged(list(enumerate(["| a | b |", "|---|", "| 1 | 2 |"], 1))) == [1, 3]


def test_the_architecture_answers_at_least_25_questions_with_a_file() -> None:
    table = text_of("docs/architecture.md").partition("## Where is what")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", table, re.MULTILINE)
    assert len(rows) >= 25
    assert all((ROOT / path).is_file() for path in rows)


def test_the_log_of_the_ear_is_looked_for_where_it_is() -> None:
    """Without its namespace `journalctl` shows when the ear was started, and nothing that it said."""
    unit = (ROOT / "provisioning/systemd/roomtone-ear.service").read_text(encoding="utf-8")
    assert "LogNamespace=roomtone-ear\n" in unit
    texts = [ROOT / page for page in PAGES] + [
        path
        for folder, ending in (("provisioning", "*.sh"), ("edge", "*.py"), ("dashboard/frontend/src", "*.ts"))
        for path in (ROOT / folder).rglob(ending)
    ]
    commands = [
        (path.name, command)
        for path in texts
        for command in re.findall(r"journalctl[^`)\"]*-u\s+roomtone-ear\b", path.read_text(encoding="utf-8"))
    ]
    assert len(commands) > 4
    assert [found for found in commands if "--namespace=+roomtone-ear" not in found[1]] == []
