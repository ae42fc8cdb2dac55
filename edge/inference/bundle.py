"""Model bundles: a folder `<name>-<version>/` with `manifest.json` and the files that it lists with their sha256.

Everything is validated before use: a missing or malformed hash, a file that the manifest does not list, a path outside
of the folder, and labels in another order are errors.

    found = load(find("base"))
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray
from packaging.version import Version as ParsedVersion

from edge.config import model_folders
from edge.inference.features import FeatureSpec
from edge.inference.relative_head import RelativeHead
from edge.protocol import LABELS, ModelName, Sha256, Share
from edge.protocol.bundle_name import FAMILY_PATTERN, VERSION_PATTERN, BundleName, family_of, is_family
from edge.util.errors import UserError
from edge.util.text.patterns import in_words, pattern
from edge.util.version import VERSION

MANIFEST: Final = model_folders.MANIFEST
MODEL: Final = model_folders.MODEL
GOLDEN: Final = "golden.npz"
PACKAGE: Final = model_folders.PACKAGE
"""Of the distribution `roomtone-models`; its folder holds bundles."""
CARD: Final = model_folders.CARD
HEAD: Final = "head.npz"
"""Optional file: `kernel`, float32 `[size, 7]`, and `bias`, float32 `[7]`, of the output layer."""
REQUIRED: Final = (MODEL, GOLDEN, CARD)
MAX_FILES: Final = 64
MAX_MODEL_BYTES: Final = 64 << 20

Family = Annotated[str, pattern(rf"^{FAMILY_PATTERN}\Z", "a family of models such as base")]
Version = Annotated[str, pattern(rf"^{VERSION_PATTERN}\Z", "a version such as 0.3.0")]
FileName = Annotated[
    str,
    pattern(r"^(plots/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", "a file name of A-Z, a-z, 0-9, `_`, `.` and `-`"),
]


class BundleError(UserError):
    """The bundle cannot be used; the text names the place and the reason."""


class TensorSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Shape and dtype of an input or output of the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int8"]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`manifest.json`. `metrics` and `corpora` are informative; the device uses everything else."""

    format: Literal[1] = 1
    name: Family
    version: Version
    labels: tuple[str, ...]
    """Must be `LABELS` of `edge.protocol.types` in that order, as probabilities are assigned by position."""
    sample_rate: Literal[16000]
    features: FeatureSpec
    features_sha256: Sha256
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    logits: str
    """Name of the output `[1, 7]`."""
    embedding: str
    """Name of the output `[1, size]`; the logits are linear in it."""
    kernels: Literal["dynamic-int8", "full-int8", "float"]
    temperature: Annotated[float, Meta(gt=0.05, lt=20)]
    abstain_below: Share
    """Calibrated confidence below which an utterance is `uncertain`."""
    min_ms: Annotated[int, Meta(ge=30, le=3000)]
    """Length in ms below which speech is always `uncertain`."""
    embedding_size: Annotated[int, Meta(ge=1, le=65536)]
    relative: RelativeHead | None = None
    """None: an absolute head; its probabilities are the softmax of logits / temperature, and it has no arousal."""
    metrics: dict[str, Any]
    """Evaluation protocol to its numbers."""
    corpora: tuple[dict[str, Any], ...]
    licence: str
    min_daemon: Version
    created: str
    files: dict[FileName, Sha256]
    """sha256 of every file but the manifest."""

    @property
    def full_name(self) -> ModelName:
        """Family and version, such as `base-0.1.0`."""
        return f"{self.name}-{self.version}"


class Bundle(Struct, frozen=True):
    """A validated model bundle: its folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """Path of the TFLite file."""
        return self.path / MODEL

    @property
    def full_name(self) -> str:
        """Family and version, such as `base-0.1.0`."""
        return self.manifest.full_name

    @property
    def sha256(self) -> str:
        """Hash of the TFLite file, validated by `load`."""
        return self.manifest.files[MODEL]

    def golden(self) -> dict[str, NDArray[Any]]:
        """Golden inputs and outputs by name, float32 `[n, ...]`: `features`, `mask`, `logits`, `embedding`, ..."""
        with np.load(self.path / GOLDEN, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def head(self) -> NDArray[np.float32]:
        """Kernel `[size, 7]` of the output layer, float32: logits are `embedding @ kernel` and a bias.

        Raises `BundleError` where the bundle has none, or one of another shape.
        """
        return self._head()[0]

    def _head(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if HEAD not in self.manifest.files:
            raise BundleError(f"{self.path}: has no {HEAD}")
        try:
            with np.load(self.path / HEAD, allow_pickle=False) as archive:
                kernel: NDArray[np.float32] = archive["kernel"]
                bias: NDArray[np.float32] = archive["bias"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(f"{self.path / HEAD}: cannot be read: {error}") from None
        size = self.manifest.embedding_size
        if kernel.shape != (size, len(LABELS)) or bias.shape != (len(LABELS),):
            raise BundleError(f"{self.path / HEAD}: kernel {kernel.shape}, not ({size}, {len(LABELS)})")
        for array in (kernel, bias):
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise BundleError(f"{self.path / HEAD}: not of finite float32 numbers")
        return kernel, bias


def load(path: Path) -> Bundle:
    """Read and validate the folder of a bundle. Raises `BundleError`."""
    path = Path(path)
    if not path.is_dir():
        raise BundleError(f"{path}: no such bundle folder")
    manifest = _manifest(path / MANIFEST)
    _check_meaning(path, manifest)
    _check_files(path, manifest)
    return Bundle(path, manifest)


def _manifest(path: Path) -> Manifest:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BundleError(f"{path}: missing, so this is no model bundle") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {in_words(error)}") from None


def _check_meaning(path: Path, manifest: Manifest) -> None:
    if manifest.labels != LABELS:
        raise BundleError(
            f"{path}: labels are {list(manifest.labels)}, expected {list(LABELS)} in this order"
        )
    if manifest.features.sha256() != manifest.features_sha256:
        raise BundleError(f"{path}: the feature specification does not match its sha256")
    if ParsedVersion(manifest.min_daemon) > ParsedVersion(VERSION):
        raise BundleError(f"{path}: needs roomtone {manifest.min_daemon} or newer, this is {VERSION}")
    outputs = {output.name: output for output in manifest.outputs}
    for role in (manifest.logits, manifest.embedding):
        if role not in outputs:
            raise BundleError(f"{path}: the manifest lists no output {role}")
    if outputs[manifest.logits].shape != (1, len(LABELS)):
        raise BundleError(
            f"{path}: the logits are of shape {outputs[manifest.logits].shape}, not (1, {len(LABELS)})"
        )
    if outputs[manifest.embedding].shape != (1, manifest.embedding_size):
        raise BundleError(f"{path}: the embedding is not of {manifest.embedding_size} numbers")
    if manifest.relative is not None:
        arousal = outputs.get(manifest.relative.arousal)
        if arousal is None or arousal.shape != (1, 1):
            raise BundleError(f"{path}: there is no output {manifest.relative.arousal} of shape (1, 1)")


def _check_files(path: Path, manifest: Manifest) -> None:
    for name in REQUIRED:
        if name not in manifest.files:
            raise BundleError(f"{path}: the manifest has no sha256 of {name}")
    if len(manifest.files) > MAX_FILES:
        raise BundleError(f"{path}: more than {MAX_FILES} files")
    present = _present(path)
    if unknown := present - set(manifest.files) - {MANIFEST}:
        raise BundleError(f"{path}: files that the manifest does not list: {', '.join(sorted(unknown))}")
    for name, expected in manifest.files.items():
        if name not in present:
            raise BundleError(f"{path / name}: missing")
        if (path / name).stat().st_size > MAX_MODEL_BYTES:
            raise BundleError(f"{path / name}: larger than {MAX_MODEL_BYTES >> 20} MiB")
        with (path / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise BundleError(f"{path / name}: sha256 differs from the manifest: damaged or changed")


def _present(path: Path) -> set[str]:
    """Names of the files in the folder and in `plots/`. Raises `BundleError` for links and other folders."""
    present = set()
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            full = Path(folder) / name
            relative = full.relative_to(path).as_posix()
            if full.is_symlink():
                raise BundleError(f"{full}: a bundle must not contain links")
            if name in files:
                present.add(relative)
            elif relative != "plots":
                raise BundleError(f"{full}: not a folder of a bundle")
    return present


def families() -> dict[str, Path]:
    """List the installed families with the folder of the highest version in the first place that has one."""
    names: set[str] = set()
    for place in model_folders.places():
        if place.is_dir():
            names.update(family_of(folder) for folder in place.iterdir() if folder.is_dir())
    found = {}
    for name in sorted(names):
        with contextlib.suppress(BundleError):
            found[name] = find(name)
    return found


def find(name_or_path: str | Path) -> Path:
    """Find the folder of a bundle by path, full name (`base-0.1.0`) or family (`base`: its highest version).

    A text that is a name means an installed bundle first: a folder `base` where a command happens to be started is used
    only where there is none of that name. Raises `BundleError` with the folders that were searched.
    """
    direct, name = Path(name_or_path), str(name_or_path)
    if isinstance(name_or_path, Path) and (direct / MANIFEST).is_file():
        return direct
    for place in model_folders.places():
        if BundleName.parse_or_none(name) is not None and (place / name / MANIFEST).is_file():
            return place / name
        if is_family(name) and place.is_dir():
            versions = [
                (found, folder)
                for folder in place.iterdir()
                if (found := BundleName.parse_or_none(folder.name)) is not None
                and found.family == name
                and (folder / MANIFEST).is_file()
            ]
            if versions:
                return max(versions)[1]
    if (direct / MANIFEST).is_file():
        return direct.absolute()
    searched = ", ".join(str(place) for place in model_folders.places())
    hint = "install roomtone_models-*.whl, or set model.bundle to a folder"
    raise BundleError(f"no model bundle {name} in {searched}; {hint}")
