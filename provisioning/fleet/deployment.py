"""Copies the broker's files to where the broker reads them, and reloads or restarts it.

At SIGHUP mosquitto reads access list, certificates and revocation list again, but open connections stay open, also that
of a revoked client; and what devices may subscribe to is read only at its start. So the broker is restarted after a
device was enrolled or a client revoked; devices keep their events meanwhile and reconnect by themselves
(docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from edge.util.atomic_file import write
from edge.util.errors import UserError, reason
from provisioning.fleet.console import command_as_root, print_status
from provisioning.fleet.records import Deployment
from provisioning.fleet.site import BROKER_FILES, Site, broker_config

RELOAD: Final = "systemctl reload mosquitto"
RESTART: Final = "systemctl restart mosquitto"
OWNER: Final = "mosquitto"
SECRET: Final = {"broker.key", "acl", "dynamic-security.json"}
COMMAND_TIMEOUT_S: Final = 90
NEEDS_ROOT: Final = ("systemctl", "service")
"""Commands that an ordinary user may not run without being asked."""


def require_rights(deployment: Deployment | None) -> None:
    """Check that the broker's files can be replaced and the broker restarted. Raises `UserError`.

    Commands call it before they save anything: a revocation that the broker never learns of would look like one.
    """
    if deployment is None or os.geteuid() == 0:
        return
    folder = Path(deployment.folder)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    needs_root = shlex.split(deployment.restart)[:1] + shlex.split(deployment.reload)[:1]
    if not os.access(existing, os.W_OK) or any(word in NEEDS_ROOT for word in needs_root):
        raise UserError(
            f"only root may write {folder} and restart the broker; nothing was changed. Run: {command_as_root()}"
        )


def set_deployment(site: Site, deployment: Deployment) -> None:
    """Set where the broker's files go from now on; the broker has to be restarted. Call `site.save` then."""
    site.settings = msgspec.structs.replace(site.settings, deployed=deployment)
    site.require_broker("restart")


def update_broker(site: Site) -> None:
    """Give the broker what it has not got yet, where the site knows how. Raises `UserError`; a repeat tries again."""
    how = site.settings.pending
    deployment = site.settings.deployed
    if not how:
        return
    if deployment is None:
        print_status(
            f"copy {site.folder / 'broker'} to the broker and {how} it: until then it does not know of this "
            "(`roomtone fleet deploy --to DIR` makes that automatic)"
        )
        return
    _copy_files(site, deployment)
    _run(deployment.restart if how == "restart" else deployment.reload)
    site.broker_updated()
    print_status(f"the broker was updated ({deployment.folder}, {how})")


def _copy_files(site: Site, deployment: Deployment) -> None:
    folder = Path(deployment.folder)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        _set_owner(folder, deployment.owner)
        for name in BROKER_FILES:
            content: str | bytes = (site.folder / "broker" / name).read_bytes()
            if name == "mosquitto.conf":
                content = broker_config(site.settings, deployment.folder, deployment.data)
            write(folder / name, content, 0o640 if name in SECRET else 0o644)
            _set_owner(folder / name, deployment.owner)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {reason(error)}. Run: {command_as_root()}") from None


def _set_owner(path: Path, owner: str) -> None:
    """Set the owner when run by root: mosquitto drops root's rights before it reads its key."""
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
        raise UserError(
            f"the files are in place, but `{command}` failed ({failed}): run it yourself, or this command again"
        )
