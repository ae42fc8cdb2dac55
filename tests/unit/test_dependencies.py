"""Every library that a part imports is declared by what installs that part: no import works by chance."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

from tests.conftest import ROOT
from tests.support.sources import python_files

OWN = {"edge", "training", "dashboard", "provisioning"}
EXTRAS = {
    "edge": ("edge", "edge-tflite", "gpio", "webrtc"),
    "dashboard": ("dashboard", "postgresql"),
    "provisioning": ("fleet",),
    "training": ("training",),
}
DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "google_crc32c": "google-crc32c",
    "markdown_it": "markdown-it-py",
    "paho": "paho-mqtt",
    "pydantic": "fastapi",
    "sklearn": "scikit-learn",
    "starlette": "fastapi",
    "ulid": "python-ulid",
    "webrtcvad": "webrtcvad-wheels",
    "securesystemslib": "tuf",
    "urllib3": "tuf",
}
"""Names of imports that differ from the distribution, or are of one that another one always brings along."""
OPTIONAL = {"systemd", "tflite_runtime", "onnxruntime", "keras_tuner"}
"""Used where they are installed."""


def imported(package: str) -> dict[str, str]:
    """Libraries that a package imports, each with a file that does."""
    found: dict[str, str] = {}
    for path in python_files(ROOT / package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names and name not in OWN | OPTIONAL:
                    found.setdefault(name, str(path.relative_to(ROOT)))
    return found


def declared(package: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for extra in EXTRAS[package] for text in optional[extra])]
    names = {re.split(r"[\s<>=!~;\[]", text, maxsplit=1)[0] for text in texts}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.mark.parametrize("package", sorted(EXTRAS))
def test_every_imported_library_is_declared(package: str) -> None:
    known = declared(package)
    missing = {
        name: place
        for name, place in imported(package).items()
        if re.sub(r"[-_.]+", "-", DISTRIBUTIONS.get(name, name)).lower() not in known
    }
    assert missing == {}
