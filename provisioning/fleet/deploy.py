"""Brings the broker's files to where the broker reads them, and tells it.

mosquitto reads access list and certificates again at SIGHUP, but an open connection stays open: whom a revoked
certificate has let in stays in. What devices may subscribe to it reads at its start alone. So after a device was
enrolled or revoked the broker is started anew; the boxes keep what they hear meanwhile, and come back by themselves
(docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from pathlib import Path
from typing import Final, Literal

import msgspec

from edge.util.atomic_file import write
from edge.util.errors import UserError
from provisioning.fleet.site import BROKER_FILES, Deployed, Site, broker_config

RELOAD: Final = "systemctl reload mosquitto"
RESTART: Final = "systemctl restart mosquitto"
OWNER: Final = "mosquitto"
SECRET: Final = {"broker.key", "acl", "dynamic-security.json"}
COMMAND_TIMEOUT_S: Final = 90


def deploy(site: Site, how: Literal["reload", "restart", "files"]) -> None:
    """Copies the files to the place that the site knows, and runs the command. Raises `UserError`."""
    place = site.about.deployed
    assert place is not None
    folder = Path(place.folder)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        _give(folder, place.owner)
        for name in BROKER_FILES:
            content: str | bytes = (site.folder / "broker" / name).read_bytes()
            if name == "mosquitto.conf":
                content = broker_config(site.about, place.folder, place.data)
            write(folder / name, content, 0o640 if name in SECRET else 0o644)
            _give(folder / name, place.owner)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}; run this as root") from None
    if how != "files":
        _run(place.restart if how == "restart" else place.reload)


def remember(site: Site, place: Deployed) -> None:
    """Notes where the files go from now on. Call `site.save` then."""
    site.about = msgspec.structs.replace(site.about, deployed=place)


def _give(path: Path, owner: str) -> None:
    """mosquitto gives up root before it reads its key."""
    if os.geteuid() != 0 or not owner:
        return
    try:
        user = pwd.getpwuid(int(owner)) if owner.isascii() and owner.isdigit() else pwd.getpwnam(owner)
    except KeyError:
        if owner.isdigit():
            os.chown(path, int(owner), int(owner))
            return
        raise UserError(
            f"there is no user {owner!r} here: install mosquitto first, or name its user with --owner"
        ) from None
    os.chown(path, user.pw_uid, user.pw_gid)


def _run(command: str) -> None:
    if not command:
        return
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False, text=True
        )
        why = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        failed = why[0] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    if failed:
        raise UserError(f"the files are in place, but `{command}` failed ({failed}): run it yourself")
