import mmap
from pathlib import Path

from edge.inference import memory_pages


def resident_kb(path: Path) -> int:
    here = False
    total = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(maxsplit=1)[0]:
            here = line.endswith(str(path))
        elif here and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_the_pages_of_a_mapped_file_are_given_back_and_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(range(256)) * 4096)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == path.read_bytes()
        before = resident_kb(path)
        assert before >= 1000
        assert memory_pages.release(path) == 1 << 20
        assert resident_kb(path) < before / 10
        assert mapped[:] == path.read_bytes()


def test_a_mapping_that_can_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"a" * 8192)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[0] = ord("b")
        assert memory_pages.release(path) == 0
        assert mapped[0] == ord("b")
