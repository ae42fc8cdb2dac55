"""Which units the installer of a device counts as its own: also those of earlier versions, never those of a hub."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def units_in(*folders: Path) -> list[str]:
    script = (ROOT / "provisioning" / "install.sh").read_text(encoding="utf-8")
    function = re.search(r"^units_in\(\) \{.*?^\}\n", script, re.MULTILINE | re.DOTALL)
    assert function is not None
    done = subprocess.run(
        ["bash", "-euc", f'{function[0]}units_in "$@"', "bash", *map(str, folders)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(done.stdout.split())


def test_the_units_of_this_version_are_all_found() -> None:
    folder = ROOT / "provisioning" / "systemd"
    expected = sorted(
        p.name for p in folder.iterdir() if p.suffix in (".service", ".socket", ".path", ".mount")
    )
    assert units_in(folder) == expected


def test_units_of_an_earlier_version_are_found_and_those_of_a_hub_are_not(tmp_path: Path) -> None:
    for unit in (ROOT / "provisioning" / "hub" / "systemd").glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text(encoding="utf-8"))
    for name in ("roomtone-gate.socket", "roomtone-gate@.service", "other.service"):
        (tmp_path / name).write_text("[Unit]\n")
    (tmp_path / "roomtone-ear.service.d").mkdir()
    assert units_in(tmp_path) == ["roomtone-gate.socket", "roomtone-gate@.service"]
