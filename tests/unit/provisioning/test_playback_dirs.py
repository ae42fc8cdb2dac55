from pathlib import Path

from provisioning.demo.playback_dirs import from_options


def test_every_room_has_a_node_id_of_its_own_whatever_the_folders_are_called(tmp_path: Path) -> None:
    folders = [
        tmp_path / "x" / "a",
        tmp_path / "y" / "a",
        tmp_path / "z" / "a-2",
        tmp_path / "Küche",
        tmp_path / "客厅",
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    rooms = from_options([], folders, 1.0, loop=True, scratch=tmp_path)
    assert [room.node for room in rooms] == ["a", "a-2", "a-2-2", "kuche", "room"]
    assert rooms[3].name == "Küche"
