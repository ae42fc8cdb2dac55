"""`fleet keys rotate` and `keys sign`: replacement of keys, safe against a power cut between any two files.

A new key is written beside the old one, under a name with its key id, before any root names it. It takes the
old one's place when a valid root names it. The next command finishes what was interrupted (`activate_keys`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from edge.util.atomic_file import Step, no_step
from edge.util.errors import UserError
from provisioning.publish import keys, setup
from provisioning.publish.catalogue import ROLES, Catalogue
from provisioning.publish.keys import Passphrase
from provisioning.publish.signing import next_root, sign_root

WAITING: Final = re.compile(r"(?P<name>[a-z0-9-]+\.key)\.(?P<keyid>[0-9a-f]{64})\.next\Z")
"""A new key that no root that counts has named yet."""
ONLINE: Final = ("snapshot", "timestamp")


def rotate(
    catalogue: Catalogue, role: str, root_keys: Sequence[Path], passphrase: Passphrase, step: Step = no_step
) -> bool:
    """Replace the key of `root`, `targets` or `online`; from the next root on the old key is no longer trusted.

    Returns False while the new root waits for further signatures (`sign`). Raises `UserError`.
    """
    if catalogue.pending().exists():
        raise UserError(f"{catalogue.pending()} waits for signatures: `roomtone fleet keys sign` first")
    activate_keys(catalogue)
    for left in _waiting(catalogue):
        left.unlink()  # of a rotation that was cut off before any root named it
    files = setup.root_files(catalogue, root_keys)
    signers = [keys.load(path, passphrase) for path in files]
    new = next_root(catalogue)
    key = keys.new()
    signer = CryptoSigner(key)
    if role == "root":
        path = catalogue.folder / files[0].name
        new.signed.revoke_key(signers[0].public_key.keyid, "root")
        new.signed.add_key(signer.public_key, "root")
        signers.append(signer)
    elif role == "targets":
        path = catalogue.folder / "targets.key"
        _replace(new.signed, ("targets",), signer)
    else:
        path = catalogue.hub / "online.key"
        _replace(new.signed, ONLINE, signer)
    _keep(path, key, signer, passphrase(f"{path.name} (new)", True) if role != "online" else None)
    step("key: written")
    if not sign_root(catalogue, new, signers):
        return False
    step("root: signed")
    activate_keys(catalogue, step)
    return True


def sign(
    catalogue: Catalogue, root_keys: Sequence[Path], passphrase: Passphrase, step: Step = no_step
) -> tuple[bool, str]:
    """Add signatures to the root that waits; return whether they are enough now, and the role whose key changes.

    Raises `UserError`.
    """
    if not catalogue.pending().exists():
        raise UserError("no root waits for signatures; `roomtone fleet keys rotate` makes one")
    pending = Metadata[Root].from_file(str(catalogue.pending()))
    role = changed(catalogue.root().signed, pending.signed)
    signers = [keys.load(path, passphrase) for path in setup.root_files(catalogue, root_keys)]
    if not sign_root(catalogue, pending, signers):
        return False, role
    step("root: signed")
    activate_keys(catalogue, step)
    return True, role


def changed(old: Root, new: Root) -> str:
    """Return the role whose key differs between two roots: `root`, `targets` or `online`."""
    for role in ("targets", *ONLINE):
        if set(old.roles[role].keyids) != set(new.roles[role].keyids):
            return "online" if role in ONLINE else role
    return "root"


def new_token(catalogue: Catalogue) -> Path:
    """Replace the token for uploads; return the file that the hub needs. Interrupted, it can be repeated."""
    catalogue.hub.mkdir(mode=0o700, exist_ok=True)
    return setup.token(catalogue.folder)


def activate_keys(catalogue: Catalogue, step: Step = no_step) -> None:
    """Move new keys to the places of the old ones where the newest root names them; safe to repeat."""
    root = catalogue.root().signed
    counted = {keyid for role in ROLES for keyid in root.roles[role].keyids}
    for path in _waiting(catalogue):
        match = WAITING.match(path.name)
        assert match is not None
        if match["keyid"] not in counted:
            continue
        place = path.with_name(match["name"])
        if place.exists():
            place.rename(place.with_name(f"{place.name}.until-root-{root.version - 1}"))
            step("key: old one put aside")
        path.rename(place)
        step("key: in its place")


def resign_if_needed(catalogue: Catalogue, passphrase: Passphrase) -> bool:
    """Sign the list of targets again where its key is no longer trusted; return whether that was necessary."""
    if catalogue.targets_trusted():
        return False
    setup.resign_targets(catalogue, setup.targets_signer(catalogue, None, passphrase))
    return True


def _waiting(catalogue: Catalogue) -> Iterator[Path]:
    for folder in (catalogue.folder, catalogue.hub):
        if folder.is_dir():
            yield from [path for path in sorted(folder.iterdir()) if WAITING.match(path.name)]


def _keep(path: Path, key: Ed25519PrivateKey, signer: CryptoSigner, passphrase: bytes | None) -> None:
    # The hub's folder may have been carried to the hub, as it should.
    path.parent.mkdir(mode=0o700, exist_ok=True)
    keys.save(path.with_name(f"{path.name}.{signer.public_key.keyid}.next"), key, passphrase)


def _replace(root: Root, roles: Sequence[str], signer: CryptoSigner) -> None:
    for role in roles:
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        root.add_key(signer.public_key, role)
