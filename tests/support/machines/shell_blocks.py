"""The shell commands of a Markdown page, in order, as somebody would type them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.conftest import ROOT

PAGES = (
    "README.md",
    *(f"docs/{n}.md" for n in ("subscribe", "fleet", "device", "privacy", "hub", "updates")),
)
"""Pages whose commands are typed, in this order, by tests/device/newcomer/test_docs_typed.py."""
_BLOCK = re.compile(r"^(?:<!-- skip: (?P<why>.+?) -->\n)?```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    text: str
    skipped: str
    """Why a test does not type it; empty: it does."""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """All blocks of a page. A mark `<!-- skip: reason -->` above one excludes it from the test."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text[: match.start("text")].count("\n") + 1, match["text"], match["why"] or "")
        for match in _BLOCK.finditer(text)
    ]
