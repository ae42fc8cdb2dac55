"""The folders in which bundles are found, for the ear, which loads them, and for the link, which names them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.tflite"
CARD: Final = "MODEL_CARD.md"
PROJECT: Final = "pyproject.toml"
"""Of the shipped bundles: it is in the folder `models` of a checkout, and in no package."""
PACKAGE: Final = "roomtone_models"
"""The package that is installed with the shipped bundles (models/pyproject.toml)."""


def has_bundle(name: str) -> bool:
    """Whether a folder with a manifest is there by this path, full name (`base-0.1.0`) or family (`base`).

    With the standard library alone; whether the bundle is whole is not looked at.
    """
    if (Path(name) / MANIFEST).is_file():
        return True
    found = [manifest.parent.name for place in places() for manifest in place.glob(f"*-*/{MANIFEST}")]
    return name in found or name in {folder.rpartition("-")[0] for folder in found}


def places() -> list[Path]:
    """Folders that are searched for bundles, in this order."""
    result = [Path(part) for part in os.environ.get("ROOMTONE_MODELS", "").split(os.pathsep) if part]
    checkout = Path(__file__).resolve().parents[2] / "models"
    # Installed, this is beside all other packages, and a folder of that name belongs to another one.
    if (checkout / PROJECT).is_file():
        result.append(checkout)
    package = find_spec(PACKAGE)
    result.extend(Path(place) for place in (package and package.submodule_search_locations) or ())
    return result
