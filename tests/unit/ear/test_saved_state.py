"""What of the ear's state reaches the disk: small files of known names, written anew, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.config.load import load
from edge.ear.saved_state import MAX_BYTES, restore, save

BASELINE = {
    "format": 2,
    "model": "base-0.8.2",
    "model_sha256": "0" * 64,
    "since": "2026-01-01T00:00:00.000Z",
    "saved": "2026-01-02T00:00:00.000Z",
    "baseline": {
        "utterances": 30,
        "weight": 30.0,
        "location": [0.1] * 8,
        "evidence_below": 0.5,
        "evidence_weight": 12.0,
        "arousal_below": 0.25,
        "arousal_weight": 11.0,
    },
}


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (tmp_path / "memory").mkdir()
    return tmp_path / "memory"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def test_state_survives_the_memory(memory: Path, disk: Path) -> None:
    (memory / "muted-device").touch()
    (memory / "link.baseline.json").write_text(json.dumps(BASELINE))
    assert save(load(), memory, disk)
    assert not save(load(), memory, disk)
    anew = memory.with_name("anew")
    restore(load(), disk, anew)
    assert sorted(file.name for file in anew.iterdir()) == ["link.baseline.json", "muted-device"]
    assert json.loads((anew / "link.baseline.json").read_text()) == BASELINE
    assert anew.stat().st_mode & 0o777 == 0o700


def test_what_is_withdrawn_or_forgotten_leaves_the_disk(memory: Path, disk: Path) -> None:
    (memory / "muted-remote").touch()
    (memory / "link.baseline.json").write_text(json.dumps(BASELINE))
    save(load(), memory, disk)
    for file in memory.iterdir():
        file.unlink()
    assert save(load(), memory, disk)
    assert list(disk.iterdir()) == []


def test_what_is_newer_in_memory_is_not_replaced(memory: Path, disk: Path) -> None:
    (disk / "link.tries.json").write_text('{"target_sha256": "old", "count": 1}')
    (memory / "link.tries.json").write_text('{"target_sha256": "new", "count": 2}')
    restore(load(), disk, memory)
    assert "new" in (memory / "link.tries.json").read_text()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sound", b"RIFF"),
        ("muted-elsewhere", b""),
        ("link.baseline.json.new", b"{}"),
        ("link.baseline.json", os.urandom(2000)),
        ("link.baseline.json", json.dumps(BASELINE | {"pcm": "AAAA"}).encode()),
        ("link.baseline.json", (json.dumps(BASELINE) + " " * MAX_BYTES).encode()),
        ("link.tries.json", b"[" * 3000),
    ],
)
def test_nothing_else_reaches_the_disk(memory: Path, disk: Path, name: str, data: bytes) -> None:
    (memory / name).write_bytes(data)
    assert not save(load(), memory, disk)
    assert list(disk.iterdir()) == []


def test_of_a_request_only_its_existence_is_kept_and_of_numbers_only_the_numbers(
    memory: Path, disk: Path
) -> None:
    (memory / "muted-device").write_bytes(os.urandom(1000))
    (memory / "link.baseline.json").write_text(json.dumps(BASELINE, indent=9))
    save(load(), memory, disk)
    assert (disk / "muted-device").read_bytes() == b""
    assert b" " not in (disk / "link.baseline.json").read_bytes()


@pytest.mark.timeout(10)
def test_neither_a_link_nor_a_pipe_leads_elsewhere(memory: Path, disk: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps(BASELINE))
    (memory / "link.baseline.json").symlink_to(tmp_path / "secret")
    os.mkfifo(memory / "link.tries.json")
    (memory / "muted-device").mkdir()
    assert not save(load(), memory, disk)
    assert list(disk.iterdir()) == []
