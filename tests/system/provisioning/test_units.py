"""The shipped units, looked at by systemd itself; what they do is tested in tests/device."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNITS = ROOT / "provisioning" / "systemd"
HUB_UNITS = ROOT / "provisioning" / "hub" / "systemd"
pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("roomtone-ear.service", 0.5),
        ("roomtone-link.service", 1.0),
        ("roomtone-validation@.service", 0.6),
        ("roomtone-update@.service", 1.0),
    ],
)
def test_the_exposure_of_a_unit_stays_below_its_bound(unit: str, most: float) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={round(most * 10)}", UNITS / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_the_hubs_units_are_sandboxed() -> None:
    units = sorted(HUB_UNITS.glob("*.service"))
    assert [unit.stem for unit in units] == [
        f"roomtone-{name}" for name in ("broker", "dashboard", "proxy", "recorder")
    ]
    for unit in units:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        # None sees the authority, and each its own folders only.
        assert re.search(r"^InaccessiblePaths=.*/site( |$)", unit.read_text(), re.M)


def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    for unit in UNITS.glob("roomtone-*.*"):
        text = re.sub(r"/opt/roomtone/current/bin/\w+", shutil.which("true") or "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    units = sorted(tmp_path.iterdir())
    assert [unit.name for unit in units] == [
        "roomtone-ear-save.path",
        "roomtone-ear-save.service",
        "roomtone-ear-state.service",
        "roomtone-ear.service",
        "roomtone-link.service",
        "roomtone-link.socket",
        "roomtone-update.socket",
        "roomtone-update@.service",
        "roomtone-validation.socket",
        "roomtone-validation@.service",
    ]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    # About units of the machine it may complain; about ours not.
    said = [line for line in (done.stdout + done.stderr).splitlines() if "roomtone" in line]
    assert said == []
    # The positive control: an unknown key is said, and the status would not tell it.
    broken = tmp_path / "roomtone-ear.service"
    broken.write_text(broken.read_text().replace("PrivateNetwork=", "PrivateNetwrok="))
    done = subprocess.run(["systemd-analyze", "verify", broken], capture_output=True, text=True, check=False)
    assert "PrivateNetwrok" in done.stdout + done.stderr


def test_only_the_update_service_writes_models_and_only_it_has_them_validated() -> None:
    units = {path.name: path.read_text() for path in UNITS.glob("roomtone-*")}
    writers = [n for n, text in units.items() if re.search(r"^ReadWritePaths=.*roomtone/models", text, re.M)]
    assert writers == ["roomtone-update@.service"]
    assert re.search(
        r"^d /var/lib/roomtone/models 0755 roomtone-update ", (UNITS / "roomtone.tmpfiles").read_text(), re.M
    )
    users = {name: re.findall(r"^SocketUser=(.*)$", text, re.M) for name, text in units.items()}
    assert users["roomtone-validation.socket"] == ["roomtone-update"]
    assert users["roomtone-update.socket"] == ["roomtone-link"]
    service = units["roomtone-update@.service"]
    assert "User=roomtone-update" in service
    assert "PrivateDevices=yes" in service
    assert "/dev/snd" in "".join(re.findall(r"^InaccessiblePaths=(.*)$", service, re.M))
