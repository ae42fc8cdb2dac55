"""What `bundle-offline` made arrives whole at the device, or nothing is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

INSTALLER = (ROOT / "provisioning" / "install.sh").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "status"), [("", 0), ("echo x >> a.whl", 1), ("rm a.whl", 1), ("rm SHA256SUMS", 1)]
)
def test_a_bundle_that_was_damaged_or_changed_is_refused(tmp_path, change, status):
    """The very lines of both scripts: the whole needs root and a Debian without a network (tests/device)."""
    bundler = (ROOT / "provisioning" / "bundle-offline").read_text(encoding="utf-8")
    make = re.search(r'^\(cd "\$part" && find .+\ncp .+$', bundler, re.MULTILINE)
    check = re.search(r'^if \[ -d "\$offline/wheels" \]; then\n.*SHA256SUMS.*\nfi$', INSTALLER, re.MULTILINE)
    assert make is not None
    assert check is not None
    folder = tmp_path / "bundle"
    (folder / "offline" / "wheels").mkdir(parents=True)
    (folder / "a.whl").write_bytes(b"wheel")
    script = f"""set -euo pipefail; part={folder} work={tmp_path} SRC={folder} offline={folder}/offline
die() {{ echo "$1" >&2; exit 1; }}
{make[0]}
cd {folder}; {change or ":"}
{check[0]}"""
    done = subprocess.run([shutil.which("bash") or "bash", "-c", script], capture_output=True, check=False)
    assert done.returncode == status, done.stderr
