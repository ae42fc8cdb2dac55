"""The name of a model bundle: family and version, such as `base-1.1.0`. Device, hub and workstation parse it here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

FAMILY_PATTERN: Final = r"[a-z][a-z0-9]{0,15}"
VERSION_PATTERN: Final = r"(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}"
_NAME: Final = re.compile(rf"(?P<family>{FAMILY_PATTERN})-(?P<version>{VERSION_PATTERN})\Z")
_FAMILY: Final = re.compile(rf"{FAMILY_PATTERN}\Z")


@dataclass(frozen=True, order=True)
class BundleName:
    """Names are ordered by family, then by version: `base-0.10.0` comes after `base-0.9.0`."""

    family: str
    version: Version

    @classmethod
    def parse(cls, text: str) -> BundleName:
        """Read a name. Raises `ValueError` for everything but `FAMILY-MAJOR.MINOR.PATCH`."""
        match = _NAME.match(text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not the name of a bundle, such as base-1.1.0")
        return cls(match["family"], Version(match["version"]))

    @classmethod
    def parse_or_none(cls, text: str) -> BundleName | None:
        """Read a name; None for everything that `parse` refuses."""
        try:
            return cls.parse(text)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.family}-{self.version}"


def is_family(text: str) -> bool:
    """Whether this may be the name of a family, such as `base`."""
    return _FAMILY.match(text) is not None


def family_of(reference: str | Path) -> str:
    """The family that a reference to a bundle names: a family, a name, or the path of a bundle's folder."""
    name = Path(reference).name
    parsed = BundleName.parse_or_none(name)
    return name if parsed is None else parsed.family
