"""Nothing is left untranslated: both tables have the same keys, and functions take the same number of arguments."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.language import TABLES

WEB = Path(__file__).parents[3] / "dashboard" / "web"

SHAPE = """
const shape = (v) => typeof v === "function" ? `f${v.length}` : Array.isArray(v) ? `a${v.length}`
  : typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, shape(v[k])])) : "text";
const all = await Promise.all(process.argv.slice(1).map(async (file) => shape(Object.values(await import(file))[0])));
console.log(JSON.stringify(all));
"""


def test_english_and_spanish_have_the_same_keys(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here")
    files = []
    for name in ("english", "spanish"):
        files.append(tmp_path / f"{name}.mjs")
        shutil.copy(WEB / f"{name}.js", files[-1])
    done = subprocess.run(
        [node, "--input-type=module", "-e", SHAPE, *map(str, files)],
        capture_output=True,
        check=True,
        timeout=30,
    )
    english, spanish = json.loads(done.stdout)
    assert english == spanish
    assert TABLES["en"].keys() == TABLES["es"].keys()
