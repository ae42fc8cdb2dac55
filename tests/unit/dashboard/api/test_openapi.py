"""The front end's types are made from the API as it is, and the pages that are served are built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="fastapi is installed with roomtone[dashboard]")
from dashboard import spa
from dashboard.api import openapi
from edge.util.text.patterns import words_for

FRONTEND = Path(__file__).parents[4] / "dashboard" / "frontend"


def test_the_front_ends_copy_of_the_openapi_document_is_that_of_the_api():
    assert json.loads((FRONTEND / "openapi.json").read_text()) == json.loads(
        json.dumps(openapi.document())
    ), "run: python -m dashboard.api.openapi > dashboard/frontend/openapi.json, npm run types, ./run frontend"


def test_every_route_says_how_one_logs_in_and_what_it_answers():
    document = openapi.document()
    assert set(document["components"]["securitySchemes"]) == {"session", "token"}
    untyped = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {name for one in operation["security"] for name in one} == {"session", "token"}
            content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
            if content is not None and not content["schema"]:
                untyped.append(f"{method} {path}")
    # Pictures and figures have types of their own.
    assert untyped == []


def test_the_built_page_names_files_that_are_there():
    manifest = json.loads((spa.STATIC / "manifest.json").read_text())
    entry = manifest["index.html"]
    page = (spa.STATIC / "index.html").read_text()
    for name in (entry["file"], *entry["css"]):
        assert (spa.STATIC / name).is_file()
        assert f"/{name}" in page
    assert (spa.STATIC / spa.stylesheet().lstrip("/")).is_file()


def test_the_first_page_is_small_and_names_no_other_host():
    manifest = json.loads((spa.STATIC / "manifest.json").read_text())
    loaded, pending = set(), ["index.html"]
    while pending:
        key = pending.pop()
        if key not in loaded:
            loaded.add(key)
            pending += manifest[key].get("imports", [])
    size = sum((spa.STATIC / manifest[key]["file"]).stat().st_size for key in loaded)
    assert size < 400_000, "bytes before compression; 250 KiB gzipped is the limit"
    assert "//" not in (spa.STATIC / "index.html").read_text().replace("<!--", "")


def patterns(tree):
    """All regular expressions of the document."""
    if isinstance(tree, dict):
        if isinstance(tree.get("pattern"), str):
            yield tree["pattern"]
        tree = list(tree.values())
    for part in tree if isinstance(tree, list) else ():
        yield from patterns(part)


def test_every_pattern_of_the_api_has_words():
    found = set(patterns(openapi.document()))
    assert len(found) > 3
    assert [regex for regex in found if not words_for(regex)] == []
