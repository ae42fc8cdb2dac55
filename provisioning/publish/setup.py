"""`fleet keys init` and other operations on the whole folder of keys and metadata."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets

from edge.util.atomic_file import move_into_place, write
from edge.util.errors import UserError
from provisioning.publish import keys
from provisioning.publish.catalogue import ROOT_DAYS, TARGETS_DAYS, About, Catalogue
from provisioning.publish.hub_repository import HubRepository
from provisioning.publish.keys import Passphrase
from provisioning.publish.signing import sign_root, sign_targets

ROOT_KEYS: Final = {"home": (1, 1), "site": (3, 2)}
"""Number of root keys, and how many of them have to sign."""
Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def init(folder: Path, about: About, passphrase: Passphrase, now: Now = utc_now) -> Catalogue:
    """Make the signing keys, the first metadata and the hub's folder, all or nothing. Raises `UserError`."""
    if folder.exists():
        raise UserError(f"{folder}: exists already: devices would not accept a second root")
    for name in (*_root_names(about), "targets.key"):
        passphrase(name, True)  # Asked for, or refused, before anything is created.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".models-") as scratch:
        made = Path(scratch) / "models"
        _fill(made, about, passphrase, now)
        move_into_place(made, folder)
    return Catalogue(folder, now)


def _root_names(about: About) -> list[str]:
    """The files of the root keys of a profile."""
    count, _ = ROOT_KEYS[about.profile]
    return ["root.key"] if count == 1 else [f"root-{n}.key" for n in range(1, count + 1)]


def _fill(made: Path, about: About, passphrase: Passphrase, now: Now) -> None:
    for name in ("metadata", "bundles", "hub"):
        (made / name).mkdir(mode=0o700, parents=True)
    made.chmod(0o700)
    write(made / "about.json", msgspec.json.format(msgspec.json.encode(about)), 0o600)
    catalogue = Catalogue(made, now)
    names = _root_names(about)
    root = Root(version=1, consistent_snapshot=True, expires=catalogue.in_days(ROOT_DAYS))
    signers = []
    for name in (*names, "targets.key"):
        key = keys.new()
        keys.save(made / name, key, passphrase(name, True))
        signer = CryptoSigner(key)
        root.add_key(signer.public_key, "targets" if name == "targets.key" else "root")
        signers.append(signer)
    root.roles["root"].threshold = ROOT_KEYS[about.profile][1]
    online = keys.new()
    keys.save(made / "hub" / "online.key", online, None)
    for role in ("snapshot", "timestamp"):
        root.add_key(CryptoSigner(online).public_key, role)
    sign_root(catalogue, Metadata(root), signers[: len(names)])
    targets = Metadata(Targets(version=1, expires=catalogue.in_days(TARGETS_DAYS)))
    targets.sign(signers[-1])
    write(catalogue.metadata / "1.targets.json", targets.to_bytes(), 0o644)
    token(made)
    hub = HubRepository(catalogue.hub, now)
    hub.accept_root(catalogue.roots()[-1].read_bytes())
    hub.accept_targets(targets.to_bytes())


def token(folder: Path) -> Path:
    """Make the token for uploads; the workstation keeps it, the hub gets its hash. Returns the file of the hash."""
    made = secrets.token_urlsafe(32)
    at_hub = folder / "hub" / "token.sha256"
    write(at_hub, hashlib.sha256(made.encode()).hexdigest() + "\n", 0o600)
    write(folder / "upload.token", made + "\n", 0o600)
    return at_hub


def root_files(catalogue: Catalogue, given: Sequence[Path]) -> list[Path]:
    """Return the key files to sign a root with: those given, else `root*.key` in the catalogue.

    Whether the given ones exist is not checked. Raises `UserError` where there are none.
    """
    files = list(given) or sorted(catalogue.folder.glob("root*.key"))
    if not files:
        raise UserError("no root key is here: name it with --key, it may be on a stick")
    return files


def targets_signer(catalogue: Catalogue, given: Path | None, passphrase: Passphrase) -> CryptoSigner:
    """Load the key that signs the list of targets. Raises `UserError`."""
    return keys.load(given or catalogue.folder / "targets.key", passphrase)


def resign_targets(catalogue: Catalogue, signer: CryptoSigner) -> None:
    """Sign the same list of targets under the next version, after a key rotation or before it expires."""
    sign_targets(catalogue, signer)


def to_local_hub(catalogue: Catalogue) -> Path:
    """Update the local copy of the hub's folder, to be copied to a hub that takes no uploads; return the folder."""
    # An administrator is present, and may not have been here for long: the catalogue refuses an implausible clock.
    catalogue.in_days(0)
    # It may have been carried to the hub.
    catalogue.hub.mkdir(mode=0o700, exist_ok=True)
    hub = HubRepository(catalogue.hub, max_off_s=ROOT_DAYS * 86_400)
    for path in catalogue.roots():
        if not (hub.metadata / path.name).exists():
            hub.accept_root(path.read_bytes())
    for target in catalogue.listed():
        archive = catalogue.archive(target.release.path, target.sha256)
        if not (hub.targets_folder / archive.name).exists():
            shutil.copyfile(archive, hub.targets_folder / archive.name)
    hub.accept_targets(catalogue.targets().to_bytes())
    hub.refresh()
    return catalogue.hub
