"""The keys of a site's models, Ed25519. Root and targets are encrypted by a passphrase and stay where the site is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from edge.util.atomic_file import write
from edge.util.errors import UserError, reason
from edge.util.text.passwords import ask_password
from edge.util.text.text_file import first_line

MIN_PASSPHRASE: Final = 8

Passphrase = Callable[[str, bool], bytes]
"""Asks for the passphrase of a key: its name, and whether it is a new one."""


def new() -> Ed25519PrivateKey:
    """Generate an Ed25519 key."""
    return Ed25519PrivateKey.generate()


def save(path: Path, key: Ed25519PrivateKey, passphrase: bytes | None) -> None:
    """Write a private key, encrypted if there is a passphrase, with mode 0600; never over another.

    Raises `UserError`.
    """
    if path.exists():
        raise UserError(f"{path}: exists already; nothing is overwritten")
    how: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    try:
        write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how), 0o600)
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from None


def load(path: Path, passphrase: Passphrase) -> CryptoSigner:
    """Load a private key. Raises `UserError` where the file is missing or the passphrase is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: {reason(error)}; this key signs: bring the stick that it is on, or name it with --key"
        ) from None
    # Outside of the `try`: what it refuses is a ValueError, too.
    secret = passphrase(path.name, False) if b"ENCRYPTED" in data else None
    try:
        key = load_pem_private_key(data, secret)
    except (ValueError, TypeError):
        raise UserError(f"{path}: wrong passphrase, or no key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path}: not an Ed25519 key of `roomtone fleet keys init`")
    return CryptoSigner(key)


def asker(file: Path | None) -> Passphrase:
    """Return a function that reads passphrases from the first line of a file, or asks at the terminal once per key.

    Raises `UserError`.
    """
    known: dict[str, bytes] = {}

    def ask(name: str, is_new: bool) -> bytes:
        if name not in known:
            known[name] = _from_file(file) if file is not None else _from_terminal(name, is_new)
            if is_new and len(known[name]) < MIN_PASSPHRASE:
                raise UserError(f"{name}: a passphrase has at least {MIN_PASSPHRASE} characters")
        return known[name]

    return ask


def _from_file(file: Path) -> bytes:
    return first_line(file, "`--passphrase-file`").encode()


def _from_terminal(name: str, is_new: bool) -> bytes:
    missing = f"{name}: no passphrase was typed at a terminal; give --passphrase-file"
    first = ask_password(f"passphrase of {name}: ", missing)
    if is_new and ask_password("once more: ", missing) != first:
        raise UserError("the two differ; nothing was made")
    return first.encode()
