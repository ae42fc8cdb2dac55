import mmap
from pathlib import Path

import numpy as np

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


def test_released_code_runs_on() -> None:
    def resident() -> int:
        return sum(
            int(line.split()[1])
            for block in Path("/proc/self/smaps").read_text().split("VmFlags")
            if " r-xp " in block
            for line in block.splitlines()
            if line.startswith("Rss:")
        )

    before = resident()
    assert memory_pages.release_code() > 1 << 20
    assert resident() < before
    # What the libraries keep beside their code is untouched: their functions work.
    assert float(np.fft.rfft(np.ones(8)).real[0]) == 8.0


def test_the_heap_is_given_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    # Small pieces, so that they come from the heap; the last one keeps the heap from shrinking by itself.
    pieces = [bytes(4000) for _ in range(8000)]
    last = bytes(4000)
    before = resident()
    pieces.clear()
    memory_pages.trim_heap()
    assert before - resident() > 4000
    assert len(last) == 4000
