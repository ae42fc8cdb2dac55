import ctypes
import mmap
import struct
from pathlib import Path

import numpy as np
import pytest

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


def test_released_constants_are_read_again() -> None:
    # Code has its constants beside it: texts of NumPy's errors, tables of its functions.
    library = Path(np.linalg._umath_linalg.__file__)
    np.linalg.inv(np.eye(2))
    before = resident_kb(library)
    assert memory_pages.release_constants() > 1 << 20
    assert resident_kb(library) < before
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        np.linalg.inv(np.zeros((2, 2)))


def test_what_was_written_and_then_protected_stays(tmp_path: Path) -> None:
    """As the loader does with the addresses in a library; and while it loads one, all of the file is mapped so."""
    path = tmp_path / "library.so"
    path.write_bytes(Path(np.linalg._umath_linalg.__file__).read_bytes())
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    mapped[:4] = b"kept"
    place = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    libc = ctypes.CDLL(None)
    size = ctypes.c_size_t(len(mapped))
    assert libc.mprotect(ctypes.c_void_p(place), size, mmap.PROT_READ) == 0
    try:
        assert f"{place:x}-" in Path("/proc/self/maps").read_text()
        memory_pages.release_constants()
        assert mapped[:4] == b"kept"
    finally:
        libc.mprotect(ctypes.c_void_p(place), size, mmap.PROT_READ | mmap.PROT_WRITE)


def segments(wide: bool, *rows: tuple[int, int, int, int]) -> bytes:
    """The headers of a library: kind, flags, offset and size in the file of each of its segments."""
    head = bytearray(64)
    head[:5] = b"\x7fELF" + bytes([2 if wide else 1])
    struct.pack_into("<Q" if wide else "<I", head, 32 if wide else 28, 64)
    struct.pack_into("<HH", head, 54 if wide else 42, 56 if wide else 32, len(rows))
    for kind, flags, offset, size in rows:
        if wide:
            head += struct.pack("<IIQQQQQQ", kind, flags, offset, 0, 0, size, size, 0)
        else:
            head += struct.pack("<IIIIIIII", kind, offset, 0, 0, size, size, flags, 0)
    return bytes(head)


@pytest.mark.parametrize("wide", [True, False])
def test_only_segments_that_are_never_written_are_constants(tmp_path: Path, wide: bool) -> None:
    page, load, note = memory_pages.PAGE, 1, 4
    read, write, execute = 4, 2, 1
    path = tmp_path / "library.so"
    path.write_bytes(
        segments(
            wide,
            (load, read, 0, page + 1),
            (load, read | execute, 2 * page, page),
            (note, read, 3 * page, page),
            (load, read, 4 * page + 8, 16),
            (load, read | write, 4 * page + 32, page),
            (load, read, 7 * page + 8, page),
        )
    )
    assert memory_pages._constants(str(path)) == {(0, 2 * page), (7 * page, 2 * page)}


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"text", b"\x7fELF\x02" + b"\xff" * 59])
def test_other_files_have_no_segments(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert memory_pages._constants(str(path)) == set()
    assert memory_pages._constants(str(tmp_path / "missing")) == set()


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
