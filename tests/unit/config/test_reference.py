"""docs/configuration.md is generated and compared; no setting without documentation, no variable unlisted."""

import re
from pathlib import Path

import pytest

from edge.config import reference
from edge.config.environment import VARIABLES

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_code_accepts() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference.page(), "python -m edge.config.reference > docs/configuration.md"


def test_every_setting_is_documented() -> None:
    for section in reference.sections():
        assert section.doc
        for setting in section.settings:
            assert setting.doc.endswith("."), f"{section.name}.{setting.key}"


def test_lines_fit_the_limit_of_the_documentation() -> None:
    assert max(map(len, reference.page().splitlines())) < 120


@pytest.mark.parametrize(
    ("key", "bounds"),
    [
        ("audio.speed", "above 0 to 100"),
        ("audio.source", "microphone or playback"),
        ("vad.onset", "above 0 to below 1"),
        ("mqtt.port", "1 to 65535"),
        ("mqtt.tls", "true or false"),
        ("node.name", ""),
    ],
)
def test_bounds_are_those_of_the_type(key: str, bounds: str) -> None:
    found = {f"{one.section}.{one.key}": one for part in reference.sections() for one in part.settings}
    assert found[key].bounds == bounds


def test_every_variable_of_the_source_is_listed_and_every_listed_one_is_read() -> None:
    sources = [
        path
        for part in ("edge", "training", "dashboard", "provisioning", "docker")
        for path in (ROOT / part).rglob("*")
        if path.is_file()
        and (path.suffix in {".py", ".sh", ".yaml", ".yml"} or path.name in {"Caddyfile", "Dockerfile"})
        and path.name != "environment.py"
    ]
    read = {
        name for path in sources for name in re.findall(r"ROOMTONE_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    run = set(re.findall(r"ROOMTONE_[A-Z_]+", (ROOT / "run").read_text(encoding="utf-8")))
    listed = {one.name for one in VARIABLES if one.name.startswith("ROOMTONE_")}
    assert read - listed == set()
    assert listed - read - run == set()
