"""Archives that want to be somewhere else than in their slot."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from edge.inference import bundle
from edge.releases import archive
from edge.releases.archive import ArchiveError


def _tar(path: Path, *members: tuple[str, bytes, dict[str, object]]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data, changes in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in changes.items():
                setattr(member, key, value)
            out.addfile(member, io.BytesIO(data))
    return path


GOOD = ("manifest.json", b"{}", {})


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (("../outside", b"x", {}), "not a valid file name"),
        (("/etc/passwd", b"x", {}), "not a valid file name"),
        (("plots/../../outside", b"x", {}), "not a valid file name"),
        (("a/b", b"x", {}), "not a valid file name"),
        ((".hidden", b"x", {}), "not a valid file name"),
        (("x\nERROR forged line of a log", b"x", {}), "not a valid file name"),
        (("link", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc"}), "is a link"),
        (("link", b"", {"type": tarfile.LNKTYPE, "linkname": "manifest.json"}), "is a link"),
        (("disk", b"", {"type": tarfile.BLKTYPE}), "not a plain file"),
        (("pipe", b"", {"type": tarfile.FIFOTYPE}), "not a plain file"),
        (("plots", b"", {"type": tarfile.DIRTYPE}), "not a plain file"),
        (("manifest.json", b"other", {}), "occurs twice"),
    ],
)
def test_a_trick_is_refused_with_its_name_and_writes_nothing_outside(
    tmp_path: Path, member, says: str
) -> None:
    source = _tar(tmp_path / "a.tar", GOOD, member)
    with pytest.raises(ArchiveError, match=says) as error:
        archive.unpack(source, tmp_path / "slot")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "slot"]
    assert [path.name for path in (tmp_path / "slot").iterdir()] == ["manifest.json"]


def test_a_member_that_claims_to_be_huge_is_refused_before_it_is_written(tmp_path: Path) -> None:
    member = tarfile.TarInfo("model.tflite")
    member.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(member.tobuf() + bytes(1024))
    with pytest.raises(ArchiveError, match="too large"):
        archive.unpack(tmp_path / "a.tar", tmp_path / "slot")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as out:
        out.addfile(tarfile.TarInfo("manifest.json"), io.BytesIO())
    with pytest.raises(ArchiveError, match="damaged"):
        archive.unpack(tmp_path / "a.tar", tmp_path / "slot")


def test_too_many_files_and_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    many = _tar(tmp_path / "many.tar", *((f"f{n}", b"", {}) for n in range(100)))
    with pytest.raises(ArchiveError, match="more than 65 files"):
        archive.unpack(many, tmp_path / "one")
    whole = _tar(tmp_path / "whole.tar", GOOD, ("model.tflite", bytes(100_000), {})).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:50_000])
    with pytest.raises(ArchiveError, match=r"damaged|too early"):
        archive.unpack(tmp_path / "cut.tar", tmp_path / "two")


def test_the_shipped_bundle_survives_and_packs_to_the_same_bytes_every_time(tmp_path: Path) -> None:
    source = bundle.find("base")
    packed = archive.pack(source)
    (tmp_path / "a.tar").write_bytes(packed)
    before = os.umask(0o077)
    try:
        archive.unpack(tmp_path / "a.tar", tmp_path / "slot")
    finally:
        os.umask(before)
    assert bundle.load(tmp_path / "slot").manifest == bundle.load(source).manifest
    assert archive.pack(tmp_path / "slot") == packed
    # The ear is another user than the link.
    for path in (tmp_path / "slot").rglob("*"):
        assert oct(path.stat().st_mode & 0o777) == ("0o755" if path.is_dir() else "0o644")


def test_a_link_in_a_bundle_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="does not belong"):
        archive.pack(tmp_path)
