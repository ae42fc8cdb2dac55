"""Folders of recordings: linked ones are followed, loops are not, and nothing is found twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.audio import files
from edge.audio.walk import files_below
from training.data.corpora.clip import audio_files


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in files_below(root))


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/a.wav", "elsewhere/deep/b.wav", "root/c.wav")
    root = tmp_path / "root"
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "d.wav").symlink_to(root / "c.wav")
    assert found(root) == ["c.wav", "d.wav", "link/a.wav", "link/deep/b.wav"]
    assert [path.name for path in files.find(root)] == ["c.wav", "d.wav", "a.wav", "b.wav"]
    assert len(audio_files(root)) == 4


@pytest.mark.parametrize("target", ["root", "root/a", "root/a/b", "."])
def test_a_folder_that_contains_itself_is_visited_once(tmp_path: Path, target: str) -> None:
    make(tmp_path, "root/a/b/x.wav", "root/y.wav")
    (tmp_path / "root/a/b/loop").symlink_to(tmp_path / target)
    assert found(tmp_path / "root") == ["a/b/x.wav", "y.wav"]


def test_two_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    make(tmp_path, "root/a/x.wav", "root/b/y.wav")
    (tmp_path / "root/a/other").symlink_to(tmp_path / "root/b")
    (tmp_path / "root/b/other").symlink_to(tmp_path / "root/a")
    assert found(tmp_path / "root") == ["a/x.wav", "b/y.wav"]


def test_many_links_to_one_folder_cost_no_more_than_one(tmp_path: Path) -> None:
    """Ten levels of two links each would be a thousand ways to the same file."""
    folder = tmp_path / "root"
    for _ in range(10):
        make(folder, "x.wav")
        below = folder / "next"
        below.mkdir()
        (folder / "again").symlink_to(below)
        folder = below
    assert len(found(tmp_path / "root")) == 10


def test_links_to_nowhere_hidden_and_unreadable_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "root/a.wav", "root/.hidden/b.wav", "root/.c.wav", "root/closed/d.wav")
    (tmp_path / "root/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "root/self").symlink_to(tmp_path / "root/self")
    (tmp_path / "root/closed").chmod(0)
    expected = ["a.wav"] if os.geteuid() else ["a.wav", "closed/d.wav"]
    assert found(tmp_path / "root") == expected
    (tmp_path / "root/closed").chmod(0o755)
    with pytest.raises(OSError, match="nowhere"):
        list(files_below(tmp_path / "nowhere"))
