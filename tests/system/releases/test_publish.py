"""What `fleet publish` asks of a bundle, asked of real ones: the shipped network, on recordings of strangers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from provisioning.publish.catalogue import Catalogue
from tests.support.bundles import shipped

pytest.importorskip("scipy", reason="scipy is installed with roomtone[training] only")

ACTORS = ("02", "05", "14", "15", "16")
SPEAKERS = {"IC0", "SM0"}
"""The test speakers of `training/data/splits.toml`."""


@pytest.fixture
def strangers(corpora: Path, folder: Path) -> Path:
    """A folder as `--data` wants it, with a few clips of each test speaker and each emotion."""
    made = folder / "data"
    for actor in ACTORS:
        (made / "ravdess" / f"Actor_{actor}").mkdir(parents=True)
        for clip in (corpora / "ravdess" / f"Actor_{actor}").glob(f"03-01-??-01-01-01-{actor}.flac"):
            (made / "ravdess" / f"Actor_{actor}" / clip.name).symlink_to(clip)
    (made / "nemo" / "samples").mkdir(parents=True)
    seen: set[tuple[str, str]] = set()
    lines = (corpora / "nemo" / "data.tsv").read_text(encoding="utf-8").splitlines()
    kept = [lines[0]]
    for line, row in zip(lines[1:], csv.DictReader(lines, delimiter="\t"), strict=True):
        key = (row["speaker_id"].strip(), row["emotion"].strip())
        clip = corpora / "nemo" / "samples" / f"{Path(row['file_id'].strip()).stem}.opus"
        if key[0] in SPEAKERS and key not in seen and clip.exists():
            seen.add(key)
            kept.append(line)
            (made / "nemo" / "samples" / clip.name).symlink_to(clip)
    (made / "nemo" / "data.tsv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return made


@pytest.mark.long
def test_a_bundle_that_is_worse_on_recordings_is_not_published(
    strangers: Path, folder: Path, workstation
) -> None:
    told = ("--data", str(strangers), "--no-upload", *workstation.signing)
    good = shipped.relabelled(folder / "made", "9.3.0")
    # Signed, and not at the hub: status 3.
    assert workstation("publish", str(good), *told, status=3).stdout == "base-9.3.0\n"
    # Against what is published now, which is no longer what boxes are shipped with.
    wrong = shipped.relabelled(folder / "made", "9.4.0", shipped.SHIFTED)
    refused = workstation("publish", str(wrong), *told, status=2)
    assert all(word in refused.stderr for word in ("base-9.4.0", "base-9.3.0", "household"))
    catalogue = Catalogue(folder / "site" / "models")
    assert [target.release.full_name for target in catalogue.listed()] == ["base-9.3.0"]
    reason = "to see what the probation makes of it"
    forced = workstation("publish", str(wrong), "--force", reason, *told, status=3)
    assert forced.stdout == "base-9.4.0\n"
    # The reason stands in what every box reads, under the signature.
    signed = json.loads((catalogue.hub / "metadata" / "3.targets.json").read_bytes())["signed"]["targets"]
    custom = {path: about["custom"]["roomtone"].get("forced", "") for path, about in signed.items()}
    assert custom == {"base-9.3.0.1.tar": "", "base-9.4.0.2.tar": reason}


def test_recordings_that_are_not_there_are_named_and_nothing_is_signed(folder: Path, workstation) -> None:
    made = shipped.relabelled(folder / "made", "9.3.0")
    told = ("--no-upload", *workstation.signing)
    (folder / "empty").mkdir()
    refused = workstation("publish", str(made), "--data", str(folder / "empty"), *told, status=2)
    assert "ravdess" in refused.stderr and str(folder / "empty") in refused.stderr
    refused = workstation("publish", str(made), *told, status=2)
    assert shipped.SHIPPED in refused.stderr and "--data" in refused.stderr
    assert Catalogue(folder / "site" / "models").listed() == []
