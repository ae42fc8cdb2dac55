"""Names, hashes and versions that are published of the ear are the link's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from edge.config.load import load
from edge.link.state.known_models import KnownModels
from edge.util.version import VERSION
from tests.conftest import ROOT
from tests.support.messages import EAR_INFO, SHIPPED


@pytest.fixture
def models() -> KnownModels:
    return KnownModels(load())


def test_a_shipped_model_is_named_by_its_manifest(models: KnownModels) -> None:
    found = models.describe(EAR_INFO)
    assert (found.model, found.model_sha256) == (f"base-{SHIPPED['version']}", EAR_INFO.model_sha256)
    assert found.feature_spec_sha256 == SHIPPED["features_sha256"]
    assert found.runtime.startswith("litert")


def test_a_hash_of_the_ears_own_is_not_published(models: KnownModels) -> None:
    chosen = "0123456789abcdef" * 4
    found = models.describe(msgspec.structs.replace(EAR_INFO, model_sha256=chosen))
    assert found.model == "unknown-0.0.0"
    assert chosen not in msgspec.json.encode(found).decode()


def test_a_version_and_a_configuration_of_the_ears_own_are_not_published(models: KnownModels) -> None:
    free = msgspec.structs.replace(EAR_INFO, ear_version="9.9.9-secret", config_sha256="a" * 64)
    found = models.describe(free)
    assert (found.ear_version, found.config_sha256) == ("other", None)
    ours = msgspec.structs.replace(EAR_INFO, ear_version=VERSION, config_sha256=load().sha256())
    assert (models.describe(ours).ear_version, models.describe(ours).config_sha256) == (
        VERSION,
        load().sha256(),
    )


def test_a_model_that_was_installed_later_is_found(tmp_path: Path) -> None:
    config = load(None, {"updates.dir": str(tmp_path)})
    models = KnownModels(config)
    chosen = "b" * 64
    info = msgspec.structs.replace(EAR_INFO, model_sha256=chosen)
    assert models.describe(info).model == "unknown-0.0.0"
    slot = tmp_path / "slots" / "base-7.0.0-bbbb"
    slot.mkdir(parents=True)
    source = next((ROOT / "models").glob("base-*")) / "manifest.json"
    shutil.copy(source, slot / "manifest.json")
    text = (slot / "manifest.json").read_text()
    text = text.replace(EAR_INFO.model_sha256, chosen).replace(f'"{SHIPPED["version"]}"', '"7.0.0"')
    (slot / "manifest.json").write_text(text)
    assert models.describe(info).model == "base-7.0.0"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "a text of its own", "version": "1.0.0", "files": {}}']
)
def test_a_manifest_that_cannot_be_used_names_nothing(tmp_path: Path, text: str) -> None:
    slot = tmp_path / "slots" / "one"
    slot.mkdir(parents=True)
    (slot / "manifest.json").write_text(text)
    models = KnownModels(load(None, {"updates.dir": str(tmp_path)}))
    assert models.describe(EAR_INFO).model == f"base-{SHIPPED['version']}"
