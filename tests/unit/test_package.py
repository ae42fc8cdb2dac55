"""What the distributions contain, and that nothing leads to a name on an index that is not ours."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edge.config import model_folders
from edge.inference import bundle
from edge.protocol.bundle_name import BundleName
from tests.conftest import ROOT
from tests.support.sources import python_files

PACKAGES = ("edge", "training", "dashboard", "provisioning")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODELS = tomllib.loads((ROOT / "models" / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ROOT / "provisioning" / "requirements"
# Of no use without a checkout.
NOT_SHIPPED = {"provisioning/requirements/lock.sh"}
BY_NAME = re.compile(r"(?:pip|pipx|uv tool) install (?:-\S+ )*['\"]?roomtone(?![-_]?\*|[-\w.]*\.whl)")


def data_files(package: str) -> set[Path]:
    folder = ROOT / package
    generated = ("__pycache__", "frontend", "build")
    return {
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".py"
        and not set(generated) & set(path.relative_to(folder).parts)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_data_file_is_in_the_wheel(package: str) -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in patterns.get(package, []) for path in (ROOT / package).glob(pattern)}
    for pattern in patterns["*"]:
        shipped |= set((ROOT / package).rglob(pattern))
    missing = {str(path.relative_to(ROOT)) for path in data_files(package) - shipped}
    assert missing - NOT_SHIPPED == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_models_are_a_distribution_with_a_licence_of_their_own() -> None:
    newest = max(
        name
        for folder in (ROOT / "models").glob("base-*")
        if (name := BundleName.parse_or_none(folder.name)) is not None
    )
    assert MODELS["project"]["version"] == str(newest).removeprefix("base-")
    assert MODELS["project"]["license"] != PROJECT["project"]["license"]
    patterns = MODELS["tool"]["setuptools"]["package-data"][bundle.PACKAGE]
    shipped = {path for pattern in patterns for path in (ROOT / "models").glob(pattern) if path.is_file()}
    for folder in (path.parent for path in (ROOT / "models").glob("*/manifest.json")):
        assert {path for path in folder.rglob("*") if path.is_file()} <= shipped


def test_bundles_are_found_in_the_package_where_there_is_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / bundle.PACKAGE
    (package / "small-9.9.9").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it is not imported')\n")
    (package / "small-9.9.9" / bundle.MANIFEST).write_text("{}")
    other = tmp_path / "lib" / "models" / "small-10.0.0"  # of another distribution, beside the installed code
    other.mkdir(parents=True)
    (other / bundle.MANIFEST).write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        model_folders, "__file__", str(tmp_path / "lib" / "edge" / "config" / "model_folders.py")
    )
    monkeypatch.delenv("ROOMTONE_MODELS", raising=False)
    assert bundle.find("small") == package / "small-9.9.9"


def requirements(file: Path) -> dict[str, list[str]]:
    """The requirements of a lock file, and for each the hashes that are allowed."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return {
        line.partition(" --hash")[0].strip(): re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
        for line in text.splitlines()
    }


@pytest.mark.parametrize("file", sorted(LOCKS.glob("*.txt")), ids=lambda file: file.name)
def test_locks_name_exact_versions_and_no_index(file: Path) -> None:
    assert "//" not in file.read_text(encoding="utf-8")
    found = requirements(file)
    assert found
    for text, hashes in found.items():
        assert [specifier.operator for specifier in Requirement(text).specifier] == ["=="], text
        assert bool(hashes) == (file.name != "constraints.txt"), text


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("device", ["edge"]), ("device-armhf", ["edge-tflite"]), ("hub", ["dashboard", "fleet", "postgresql"])],
)
def test_locks_have_what_the_package_asks_for(lock: str, extras: list[str]) -> None:
    named = {Requirement(text).name: text for text in requirements(LOCKS / f"{lock}.txt")}
    project = PROJECT["project"]
    for text in [
        *project["dependencies"],
        *(one for name in extras for one in project["optional-dependencies"][name]),
    ]:
        wanted = Requirement(text)
        # Debian's PyAudio is used.
        if wanted.name == "PyAudio":
            continue
        locked = Requirement(named[wanted.name.lower()])
        assert all(wanted.specifier.contains(one.version) for one in locked.specifier), text


def test_nothing_says_to_install_roomtone_by_its_name() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "pyproject.toml",
        *LOCKS.parent.glob("*.sh"),
    ]
    sources = [path for package in PACKAGES for path in python_files(ROOT / package)]
    named = [path.name for path in (*pages, *sources) if BY_NAME.search(path.read_text(encoding="utf-8"))]
    assert named == []
