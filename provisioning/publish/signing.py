"""Signs what a site publishes: new root metadata, and new versions of the list of targets (models).

Everything happens on the workstation, with the private keys of root and targets; the hub only checks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile

from edge.releases import metadata as releases
from edge.releases.metadata import Release
from edge.util.atomic_file import write
from edge.util.errors import UserError
from provisioning.publish.catalogue import ROOT_DAYS, TARGETS_DAYS, Catalogue


def next_root(catalogue: Catalogue) -> Metadata[Root]:
    """Return a copy of the newest root with the next version number, a new expiry date and no signatures."""
    new = catalogue.root()
    new.signatures.clear()
    new.signed.version += 1
    new.signed.expires = catalogue.in_days(ROOT_DAYS)
    return new


def sign_root(catalogue: Catalogue, new: Metadata[Root], signers: Sequence[Signer]) -> bool:
    """Add signatures to a new root, and put it into force when there are enough.

    It needs enough keys of the root before it and enough of its own. With too few it waits in `root.pending.json` for
    `roomtone fleet keys sign`, and False is returned.
    """
    for signer in signers:
        new.sign(signer, append=True)
    try:
        if catalogue.versions("root"):
            catalogue.root().signed.verify_delegate("root", new.signed_bytes, new.signatures)
        new.signed.verify_delegate("root", new.signed_bytes, new.signatures)
    except RepositoryError:
        write(catalogue.pending(), new.to_bytes(), 0o644)
        return False
    write(catalogue.metadata / f"{new.signed.version}.root.json", new.to_bytes(), 0o644)
    catalogue.pending().unlink(missing_ok=True)
    return True


def sign_targets(
    catalogue: Catalogue,
    signer: CryptoSigner,
    *,
    put: Sequence[tuple[Release, bytes | Path]] = (),
    drop: Sequence[str] = (),
) -> int:
    """Sign the next version of the list of targets, with some releases added or replaced and some removed.

    Args:
        catalogue: what is published so far; the archives of new releases are added to it.
        signer: the key of the role `targets`.
        put: releases, each with its archive or the path of it.
        drop: paths of targets to remove.

    Returns the version of the new list. Raises `UserError` where the newest root does not trust the key.
    """
    last = catalogue.next_release() - 1
    new = catalogue.targets()
    new.signatures.clear()
    for path in drop:
        new.signed.targets.pop(path, None)
    for about, data in put:
        content = data.read_bytes() if isinstance(data, Path) else data
        info = TargetFile.from_data(about.path, content, ["sha256"])
        info.unrecognized_fields["custom"] = {releases.KEY: msgspec.to_builtins(about)}
        new.signed.targets[about.path] = info
        archive = catalogue.archive(about.path, info.hashes["sha256"])
        if not archive.exists():
            write(archive, content, 0o644)
        last = max(last, about.release)
    new.signed.unrecognized_fields["x-roomtone-last-release"] = last
    new.signed.version += 1
    new.signed.expires = catalogue.in_days(TARGETS_DAYS)
    new.sign(signer)
    try:
        catalogue.root().signed.verify_delegate("targets", new.signed_bytes, new.signatures)
    except RepositoryError as error:
        raise UserError(f"this key may not sign targets: {error}") from None
    write(catalogue.metadata / f"{new.signed.version}.targets.json", new.to_bytes(), 0o644)
    return int(new.signed.version)
