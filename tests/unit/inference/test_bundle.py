import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.inference import bundle
from edge.protocol import LABELS

SHIPPED = bundle.find("base")


@pytest.fixture
def copy(tmp_path) -> Path:
    target = tmp_path / SHIPPED.name
    shutil.copytree(SHIPPED, target)
    return target


def change(folder: Path, **changes) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_shipped_bundle_is_whole():
    found = bundle.load(SHIPPED)
    assert found.full_name == SHIPPED.name
    assert found.manifest.labels == LABELS
    assert found.sha256 == hashlib.sha256(found.model.read_bytes()).hexdigest()
    assert found.model.stat().st_size <= 16 << 20


def test_the_card_names_licence_use_and_law_on_its_first_lines():
    head = "\n".join((SHIPPED / "MODEL_CARD.md").read_text().splitlines()[:12])
    for words in ("CC BY-NC-SA 4.0", "Intended use", "AI Act"):
        assert words in head


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "MODEL_CARD.md"])
def test_a_changed_file_is_refused(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(bundle.BundleError, match="sha256 differs"):
        bundle.load(copy)


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "MODEL_CARD.md", "manifest.json"])
def test_a_missing_file_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises(bundle.BundleError, match="missing"):
        bundle.load(copy)


@pytest.mark.parametrize("value", ["", None, "abc", "A" * 64, "0" * 64])
def test_an_empty_or_wrong_hash_fails_closed(copy, value):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    change(copy, files=files | {"model.tflite": value})
    with pytest.raises(bundle.BundleError):
        bundle.load(copy)


def test_a_missing_hash_fails_closed(copy):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    del files["model.tflite"]
    change(copy, files=files)
    with pytest.raises(bundle.BundleError, match=r"no sha256 of model\.tflite"):
        bundle.load(copy)


@pytest.mark.parametrize(
    "name", ["../evil.bin", "/etc/passwd", "plots/../../x", "a/b", "plots/", "..", ".hidden", "a\\b", "a\n"]
)
def test_names_that_lead_elsewhere_are_refused(copy, name):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    change(copy, files=files | {name: "0" * 64})
    with pytest.raises(bundle.BundleError):
        bundle.load(copy)


def test_a_link_is_refused(copy):
    target = copy.parent / "card"
    (copy / "MODEL_CARD.md").rename(target)
    (copy / "MODEL_CARD.md").symlink_to(target)
    with pytest.raises(bundle.BundleError, match="links"):
        bundle.load(copy)


def test_a_file_that_the_manifest_does_not_name_is_refused(copy):
    (copy / "extra.so").write_bytes(b"x")
    with pytest.raises(bundle.BundleError, match=r"extra\.so"):
        bundle.load(copy)


def test_another_order_of_labels_is_refused(copy):
    swapped = [LABELS[1], LABELS[0], *LABELS[2:]]
    change(copy, labels=swapped)
    with pytest.raises(bundle.BundleError, match="labels"):
        bundle.load(copy)


def test_other_features_than_their_hash_are_refused(copy):
    features = json.loads((copy / "manifest.json").read_text())["features"]
    change(copy, features=features | {"trim_db": 20.0})
    with pytest.raises(bundle.BundleError, match="feature specification"):
        bundle.load(copy)


def test_a_bundle_for_a_newer_daemon_is_refused(copy):
    change(copy, min_daemon="99.0.0")
    with pytest.raises(bundle.BundleError, match=r"99\.0\.0"):
        bundle.load(copy)


@pytest.mark.parametrize(
    "change_to", [{"unknown": 1}, {"temperature": 0}, {"abstain_below": 2}, {"format": 2}]
)
def test_unknown_keys_and_values_out_of_bounds_are_refused(copy, change_to):
    change(copy, **change_to)
    with pytest.raises(bundle.BundleError):
        bundle.load(copy)


def test_a_text_instead_of_json_is_refused(copy):
    (copy / "manifest.json").write_text("not json")
    with pytest.raises(bundle.BundleError, match=r"manifest\.json"):
        bundle.load(copy)


def test_a_family_finds_its_highest_version(tmp_path, monkeypatch):
    for version in ("0.9.0", "0.10.0", "0.2.0"):
        (tmp_path / f"base-{version}").mkdir()
        (tmp_path / f"base-{version}" / "manifest.json").write_text("{}")
    monkeypatch.setenv("ROOMTONE_MODELS", str(tmp_path))
    assert bundle.find("base").name == "base-0.10.0"
    assert bundle.find("base-0.9.0").name == "base-0.9.0"
    assert bundle.find(tmp_path / "base-0.2.0") == tmp_path / "base-0.2.0"


def test_a_name_means_an_installed_bundle_and_no_folder_where_a_command_is_started(tmp_path, monkeypatch):
    installed, here = tmp_path / "installed" / "base-0.9.0", tmp_path / "here"
    for folder in (installed, here / "base", here / "base-0.9.0", here / "own"):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    monkeypatch.setenv("ROOMTONE_MODELS", str(installed.parent))
    monkeypatch.chdir(here)
    assert bundle.find("base") == bundle.find("base-0.9.0") == installed
    assert bundle.find("./base") == here / "base" and bundle.find(Path("base")) == Path("base")
    assert bundle.find("own") == here / "own", "of no installed name: and logs say the whole path"


def test_a_bundle_that_is_not_there_is_said_with_the_places(tmp_path, monkeypatch):
    monkeypatch.setenv("ROOMTONE_MODELS", str(tmp_path))
    with pytest.raises(bundle.BundleError, match=str(tmp_path)):
        bundle.find("nothing")


def with_head(folder: Path, **arrays) -> bundle.Bundle:
    np.savez(folder / "head.npz", **arrays)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    change(folder, files=files | {"head.npz": hashlib.sha256((folder / "head.npz").read_bytes()).hexdigest()})
    return bundle.load(folder)


def test_the_output_layer_is_read(copy):
    size = bundle.load(copy).manifest.embedding_size
    kernel = np.arange(size * 7, dtype=np.float32).reshape(size, 7)
    found = with_head(copy, kernel=kernel, bias=np.zeros(7, np.float32)).head()
    assert (found == kernel).all()


def test_a_bundle_without_an_output_layer_says_so(copy):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    files.pop("head.npz", None)
    change(copy, files=files)
    (copy / "head.npz").unlink(missing_ok=True)
    with pytest.raises(bundle.BundleError, match=r"no head\.npz"):
        bundle.load(copy).head()


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [
        (np.zeros((3, 7), np.float32), np.zeros(7, np.float32)),
        (np.zeros((512, 7), np.float64), np.zeros(7, np.float32)),
        (np.full((512, 7), np.nan, np.float32), np.zeros(7, np.float32)),
        (np.zeros((512, 7), np.float32), np.zeros(6, np.float32)),
        (np.zeros((512, 7), object), np.zeros(7, np.float32)),
    ],
)
def test_an_output_layer_that_does_not_fit_is_refused(copy, kernel, bias):
    with pytest.raises(bundle.BundleError, match=r"head\.npz"):
        with_head(copy, kernel=kernel, bias=bias).head()


def test_an_output_layer_that_is_no_archive_is_refused(copy):
    (copy / "head.npz").write_bytes(b"PK\x03\x04 and then nothing")
    files = json.loads((copy / "manifest.json").read_text())["files"]
    digest = hashlib.sha256((copy / "head.npz").read_bytes()).hexdigest()
    change(copy, files=files | {"head.npz": digest})
    with pytest.raises(bundle.BundleError, match=r"head\.npz"):
        bundle.load(copy).head()
