"""The documentation as a site: built strictly, searchable, and without anything from another server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("material", reason="pip install --group docs")
FOREIGN = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", re.IGNORECASE)


def build(docs: Path, to: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)]
    return subprocess.run(
        [*command, "--config-file", str(docs / "site" / "mkdocs.yml")],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "HOME": str(to.parent)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(ROOT / "docs", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    assert [page.name for page in pages if FOREIGN.search(page.read_text(encoding="utf-8"))] == []
    index = json.loads((tmp_path / "site" / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert {"en", "es"} <= set(index["config"]["lang"])
    assert any(entry["location"].startswith("es/") for entry in index["docs"])


def test_a_link_that_leads_nowhere_fails(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    with (docs / "privacy.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](nowhere.md)\n")
    done = build(docs, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr + done.stdout
