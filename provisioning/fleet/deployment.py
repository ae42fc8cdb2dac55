"""Copies the broker's files to where the broker reads them, has it restarted, and looks whether they are in force.

mosquitto reads the rights only at its start, and keeps an open connection through everything else, also that of a
revoked client; so it is restarted. Devices keep their events meanwhile and reconnect by themselves
(docs/decisions/0007-revoke-by-list-and-restart.md).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from edge.util.atomic_file import write
from edge.util.errors import NotInForceError, UserError, reason
from provisioning.fleet import device_announcement, proof
from provisioning.fleet.console import command_as_root, print_status
from provisioning.fleet.proof import Prover
from provisioning.fleet.records import Deployment
from provisioning.fleet.site import BROKER_FILES, Site, broker_config

RESTART: Final = "systemctl restart mosquitto"
OWNER: Final = "mosquitto"
SECRET: Final = {"broker.key", "dynamic-security.json"}
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
    needs_root = shlex.split(deployment.restart)[:1]
    if not os.access(existing, os.W_OK) or any(word in NEEDS_ROOT for word in needs_root):
        raise UserError(
            f"only root may write {folder} and restart the broker; nothing was changed. Run: {command_as_root()}"
        )


def set_deployment(site: Site, deployment: Deployment) -> None:
    """Set where the broker's files go from now on. Call `site.save` then."""
    site.settings = msgspec.structs.replace(site.settings, deployed=deployment, pending=True)


@contextlib.contextmanager
def broker_update(site: Site, *, changes: bool = True) -> Iterator[None]:
    """Change and save a site within this context; at its end the broker gets the change, and is looked at.

    `changes`: whether there is a change, and not only one to be given or looked at again.

    A connection with a certificate that the change revokes is opened before, and has to end. Raises `NotInForceError`
    when the change cannot be seen at the broker; a repeat of the command tries again.
    """
    target = site.settings.deployed
    with Prover(site, site.settings.hosts[0] if target is None else target.address) as prover:
        if target is None and not changes:
            site.mark_pending()
        else:
            site.require_broker()
        if target is not None:
            prover.hold()
        yield
        if target is not None:
            _deliver(site, target, prover)
        else:
            _check_remote(site, prover, changed=changes)


def prove(site: Site) -> None:
    """Check that a deployed broker, just started, has the present rights, and announce the devices.

    The devices are announced to Home Assistant, and the site notes that nothing is pending. Waits up
    to `proof.TIMEOUT_S` seconds; raises `NotInForceError` with what is not in force then.
    """
    assert site.settings.deployed is not None
    with Prover(site, site.settings.deployed.address) as prover:
        _finish(site, prover, proof.TIMEOUT_S)


def _deliver(site: Site, target: Deployment, prover: Prover) -> None:
    _withdraw(site, prover)
    copy_files(site)
    _run(target.restart)
    try:
        _finish(site, prover, proof.TIMEOUT_S)
    except NotInForceError as error:
        how = f"`{target.restart}`" if target.restart else "restart the broker"
        raise NotInForceError(
            f"{error}; the broker's files are in {target.folder}: {how}, then repeat this command"
        ) from None


def _withdraw(site: Site, prover: Prover) -> None:
    """Remove revoked devices from Home Assistant and from the pages of the hub while those are connected.

    After the restart they are away for some seconds, and a removal is not retained: they would keep them.
    """
    removed = [(topic, payload) for topic, payload in device_announcement.announcements(site) if not payload]
    for messages in (removed, list(device_announcement.removals(site))):
        # A broker that does not run has no clients, and the announcements follow when it does. One with the rights of
        # an earlier version does not take the second.
        with contextlib.suppress(NotInForceError):
            if messages:
                prover.publish(messages)


def _check_remote(site: Site, prover: Prover, *, changed: bool) -> None:
    """Look at a broker whose files are carried there by hand; right after a change it cannot have them."""
    try:
        if changed:
            raise NotInForceError("NOT IN FORCE: the broker does not know of this yet")
        _finish(site, prover, 0.0)
    except NotInForceError as error:
        raise NotInForceError(
            f"{error}; copy {site.folder / 'broker'} to the broker and restart it, then repeat this command "
            "(`roomtone fleet deploy --to DIR` makes that automatic)"
        ) from None


def _finish(site: Site, prover: Prover, timeout_s: float) -> None:
    took = prover.wait(timeout_s)
    prover.publish(device_announcement.announcements(site))
    # Again: a device that was still connected may have published since.
    prover.publish(device_announcement.removals(site))
    site.broker_updated()
    print_status(f"certificates and rights: in force at the broker after {took:.1f} s")


def copy_files(site: Site) -> None:
    """Put the broker's files where it reads them, without looking at it. Raises `NotInForceError`."""
    deployment = site.settings.deployed
    assert deployment is not None
    folder = Path(deployment.folder)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        set_owner(folder, deployment.owner)
        for name in BROKER_FILES:
            content: str | bytes = (site.folder / "broker" / name).read_bytes()
            if name == "mosquitto.conf":
                content = broker_config(site.settings, deployment.folder, deployment.data)
            write(folder / name, content, 0o640 if name in SECRET else 0o644)
            set_owner(folder / name, deployment.owner)
    except OSError as error:
        remedy = "another folder: `roomtone fleet deploy --to DIR`"
        if isinstance(error, PermissionError):
            remedy = f"run: {command_as_root()}"
        raise NotInForceError(
            f"NOT IN FORCE: {error.filename or folder}: {reason(error)}; {remedy}"
        ) from None


def set_owner(path: Path, owner: str) -> None:
    """Set the owner of a file when run by root: mosquitto drops root's rights before it reads its key."""
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
        raise NotInForceError(
            f"NOT IN FORCE: the files are in place, but `{command}` failed ({failed}): repeat this command"
        )
