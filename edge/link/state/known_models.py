"""What the link knows of the ear by itself: the installed models, the interpreter, the version, the configuration.

The ear names a model by its hash alone. What is published of it comes from the manifests that the link reads, so that
an attacker in the ear cannot write a text into `B/N/info` or into an event.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.config import model_folders
from edge.config.settings import Config
from edge.protocol import EarInfo, ModelInfo, Sha256
from edge.protocol.bundle_name import BundleName
from edge.releases.store import state as store
from edge.util.version import VERSION

log = logging.getLogger(__name__)

DISTRIBUTIONS: Final = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
"""The Python distribution of each interpreter."""
MAX_MANIFEST_BYTES: Final = 1 << 20


class ModelId(Struct, frozen=True):
    """The part of a manifest by which a model is named; its other fields are the ear's affair."""

    name: str
    version: str
    features_sha256: Sha256
    files: dict[str, Sha256]


UNKNOWN: Final = ModelId("unknown", "0.0.0", "0" * 64, {model_folders.MODEL: "0" * 64})
"""Stands for a model that is not among the installed ones."""


class KnownModels:
    """Describes the ear in the words of the link. Reads the folders of the models again for an unknown hash."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._models: dict[str, ModelId] = {}

    def describe(self, info: EarInfo) -> ModelInfo:
        """Return what is published about an ear and its model; a model that is not installed here has no name."""
        model = self._find(info.model_sha256)
        return ModelInfo(
            model=f"{model.name}-{model.version}",
            model_sha256=model.files[model_folders.MODEL],
            feature_spec_sha256=model.features_sha256,
            runtime=_with_version(info.runtime),
            vad=info.vad,
            ear_version=VERSION if info.ear_version == VERSION else "other",
            config_sha256=info.config_sha256 if info.config_sha256 == self._config.sha256() else None,
            mic=info.mic,
        )

    def _find(self, sha256: str) -> ModelId:
        if sha256 not in self._models:
            self._models = {model.files[model_folders.MODEL]: model for model in self._installed()}
        found = self._models.get(sha256, UNKNOWN)
        if found is UNKNOWN:
            log.warning("[model_unknown] the ear runs a model that is not installed here; it is not named")
        return found

    def _installed(self) -> Iterator[ModelId]:
        folders = [folder for place in model_folders.places() for folder in _folders_in(place)]
        folders += _folders_in(store.folder_of(self._config) / store.SLOTS)
        folders.append(Path(self._config.model.bundle))
        for folder in folders:
            model = _read(folder / model_folders.MANIFEST)
            if model is not None:
                yield model


def _folders_in(place: Path) -> list[Path]:
    try:
        return [folder for folder in place.iterdir() if folder.is_dir()]
    except OSError:
        return []


def _read(manifest: Path) -> ModelId | None:
    try:
        with manifest.open("rb") as file:
            found = msgspec.json.decode(file.read(MAX_MANIFEST_BYTES), type=ModelId)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    named = BundleName.parse_or_none(f"{found.name}-{found.version}")
    return found if named is not None and model_folders.MODEL in found.files else None


def _with_version(runtime: str) -> str:
    try:
        return f"{runtime} {importlib.metadata.version(DISTRIBUTIONS[runtime])}"
    except importlib.metadata.PackageNotFoundError:
        return runtime
