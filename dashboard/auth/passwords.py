"""Password hashing: argon2id with the parameters of RFC 9106 for little memory (64 MiB, three passes)."""

from __future__ import annotations

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 200
"""Longer passwords are refused before they are hashed."""
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()
_dummy_hash = _hasher.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """Return the hash to store. Takes a tenth of a second and 64 MiB."""
    return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Return whether a password matches its stored hash; None (no such user) takes just as long."""
    try:
        return _hasher.verify(stored or _dummy_hash, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def generate() -> str:
    """Return a random password for people to copy: 100 bits, in groups of five, without ambiguous letters."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def problem_with(password: str, name: str = "") -> str:
    """Return why a password is not accepted for a user of that name, or an empty string."""
    if len(password) < MIN_LENGTH:
        return f"a password has at least {MIN_LENGTH} characters"
    if len(password) > MAX_LENGTH:
        return f"a password has at most {MAX_LENGTH} characters"
    if name and name.lower() in password.lower():
        return "the password must not contain the user name"
    if len(set(password)) < 5:
        return "a password has at least 5 different characters"
    return ""
