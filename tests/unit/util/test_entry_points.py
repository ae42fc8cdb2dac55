"""Entry points are those of `importlib.metadata`, for every group that Roomtone has, and for other layouts."""

import importlib.metadata

import pytest

from edge.util.entry_points import EntryPoint, entry_points


@pytest.mark.parametrize(
    "group", ["roomtone.commands", "roomtone.hub", "roomtone.checks", "console_scripts", "pytest11"]
)
def test_they_are_those_of_the_standard_library(group):
    expected = {(entry.name, entry.value) for entry in importlib.metadata.entry_points(group=group)}
    assert expected and set(entry_points(group)) == expected


def test_an_earlier_folder_hides_the_same_distribution_in_a_later_one(tmp_path):
    for folder, value in (("first", "one:main"), ("second", "two:main")):
        metadata = tmp_path / folder / "Thing-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "entry_points.txt").write_text(f"[roomtone.commands]\nthing = {value}\n")
    path = [str(tmp_path / name) for name in ("absent", "first", "second")]
    assert entry_points("roomtone.commands", path) == [EntryPoint("thing", "one:main")]


def test_other_sections_comments_and_extras(tmp_path):
    (tmp_path / "thing.egg-info").mkdir()
    (tmp_path / "thing.egg-info" / "entry_points.txt").write_text(
        "[other]\na = b:c\n\n[ roomtone.commands ]\n# x = y:z\nmain = os.path:join [extra]\n"
    )
    (tmp_path / "empty-1.dist-info").mkdir()
    (entry,) = entry_points("roomtone.commands", [str(tmp_path)])
    import os.path

    assert entry.name == "main" and entry.load() is os.path.join
